"""What GitHub's OpenID Connect tokens say of a workflow, and so what a cloud has to ask of them. Pure.

Source: GitHub, "OpenID Connect reference" (subjects, claims). Repositories made after 2026-07-15 have immutable
subjects, in which each name is followed by its numeric id; the classic form never matches there.
"""

from dataclasses import dataclass

ISSUER = "https://token.actions.githubusercontent.com"


@dataclass(frozen=True)
class Repository:
    """A repository by its names and by GitHub's numeric ids, which no later owner of the names gets."""

    owner: str
    owner_id: int
    name: str
    id: int
    immutable_subjects: bool
    default: str = "main"  # the branch that pull requests go to, and that scheduled workflows run on

    def subject(self, context: str) -> str:
        """The subject of a token: `context` is `pull_request`, `environment:ENV` or `ref:refs/heads/BRANCH`."""
        if self.immutable_subjects:
            return f"repo:{self.owner}@{self.owner_id}/{self.name}@{self.id}:{context}"
        return f"repo:{self.owner}/{self.name}:{context}"

    def plan_subjects(self) -> tuple[str, str]:
        """Those of pull requests, and of what runs on the default branch outside any environment."""
        return self.subject("pull_request"), self.subject(f"ref:refs/heads/{self.default}")

    def apply_subject(self, environment: str) -> str:
        """That of a job in a GitHub environment, whose rules say from which branch it may run."""
        return self.subject(f"environment:{environment}")
