"""Long columns of text, compared without turning each text into a Python object."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_TEXT = pa.large_string()


def isin(keys: pd.Series, values: pd.Series) -> pd.Series:
    """Return for each of `keys` whether it is one of `values`; null never is.

    What `keys.isin(values)` says, many times faster on a million SIDs.
    """
    known = pa.array(values, type=_TEXT, from_pandas=True).drop_null()
    found = pc.is_in(pa.array(keys, type=_TEXT, from_pandas=True), value_set=known)
    return pd.Series(found.to_numpy(zero_copy_only=False), index=keys.index)
