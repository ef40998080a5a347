"""What stops a rollout: a sentence that says what, where and what to do."""


class RolloutError(Exception):
    """A command of this room cannot go on. The message is for people and holds no secret."""
