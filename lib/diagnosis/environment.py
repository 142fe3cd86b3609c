"""Whether the builds that are served have the environment variables that the flow needs."""

from __future__ import annotations

from collections.abc import Mapping

from lib.diagnosis.check_api import CheckResult, cannot_tell, fail, not_applicable, ok
from lib.diagnosis.facts import Facts
from lib.formatting import counted
from lib.model.deployments import Deployment, EnvName


def required_environment(facts: Facts) -> CheckResult:
    """Hold the required names against the project's variables and against what the serving builds were made with."""
    required = facts.terms.required_env_names
    # The same name may be there once for production and once for previews.
    names = {env.key: env for env in facts.need(facts.snapshot.env_names) if env.in_production}
    if not required:
        return not_applicable("No environment variables are declared as required (REQUIRED_ENV_NAMES).")
    unset = [name for name in required if name not in names]
    if unset:
        facts.need_complete(facts.snapshot.env_names)
        return fail(
            f"{counted(len(unset), 'required variable is', 'required variables are')} not set for production.", *unset
        )
    serving = [host for host in facts.need(facts.snapshot.hostnames) if host.redirect_to is None]
    problems = [problem for host in serving for problem in _problems(facts, names, host.name, host.deployment)]
    if problems:
        return fail("The live build lacks a required variable, or was made before its last change.", *problems)
    if not serving or any(host.deployment is None or host.deployment.env_names is None for host in serving):
        return cannot_tell("The required variables are set; whether the serving build has them is unknown.")
    return ok("The serving build has every required variable.", *required)


def _problems(facts: Facts, names: Mapping[str, EnvName], hostname: str, deployment: Deployment | None) -> list[str]:
    """Return what is wrong with one build: variables are baked in when it is made."""
    if deployment is None:
        return []
    problems = []
    for name in facts.terms.required_env_names:
        changed = names[name].updated_at
        if deployment.env_names is not None and name not in deployment.env_names:
            problems.append(f"{hostname}: its build does not have {name}")
        elif changed and changed > deployment.created_at:
            problems.append(f"{hostname}: {name} was changed after its build, at {facts.clock(changed)}")
    return problems
