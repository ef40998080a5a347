"""Which of GitHub's tokens GCP takes for whom, as conditions and mappings in CEL. Pure."""

import json

from infra.github import Repository

# What a token becomes: the subject is short, as Google takes at most 127 bytes and GitHub's own can be longer; what
# may be deployed with it is said by the token itself. Source: IAM, "Workload Identity Federation", attribute mappings.
SUBJECT = 'assertion.repository_id + "/" + assertion.run_id'
PLANS = 'assertion.repository_id + "/plan"'
APPLIES = 'assertion.repository_id + "/apply/" + assertion.environment'


def plans(repository: Repository) -> str:
    """The condition on tokens of pull requests, and of what runs on the default branch outside any environment."""
    return _all(*_whose(repository), f"assertion.sub in {json.dumps(list(repository.plan_subjects()))}")


def applies(repository: Repository, environment: str, branch: str) -> str:
    """The condition on tokens of jobs in a GitHub environment, on the branch that is deployed to it."""
    return _all(
        *_whose(repository),
        f"assertion.environment == {json.dumps(environment)}",
        f"assertion.ref == {json.dumps(f'refs/heads/{branch}')}",
        f"assertion.sub == {json.dumps(repository.apply_subject(environment))}",
    )


def _whose(repository: Repository) -> tuple[str, str]:
    """Numbers, which no later owner of the names gets. In tokens they are texts."""
    return (
        f'assertion.repository_owner_id == "{repository.owner_id}"',
        f'assertion.repository_id == "{repository.id}"',
    )


def _all(*conditions: str) -> str:
    return " && ".join(conditions)
