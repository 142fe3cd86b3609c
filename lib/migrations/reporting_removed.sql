-- title = "Remove the functions that count for Switchboard"
-- button = "Remove the functions"
-- table = "public"
-- cures = []
-- lock = "none that anybody waits for: no table is touched"
-- lock_timeout = "2s"
-- statement_timeout = "15s"
-- verify = "select not exists (select from pg_catalog.pg_proc where pronamespace = 'public'::pg_catalog.regnamespace and proname in ('switchboard_bookings', 'switchboard_texts', 'switchboard_demand', 'switchboard_reconcile', 'switchboard_indexes'))"
-- undone_by = "reporting"
-- allows = ["ban-drop-function"]
-- because = "The functions are the desk's own, made by reporting.sql; without them it reads row by row again."

drop function if exists public.switchboard_bookings(timestamptz, timestamptz, integer, text[]);
drop function if exists public.switchboard_texts(timestamptz, timestamptz, integer, text[]);
drop function if exists public.switchboard_demand(timestamptz, timestamptz, integer, text[]);
drop function if exists public.switchboard_reconcile(text[]);
drop function if exists public.switchboard_indexes(integer);
