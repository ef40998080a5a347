"""The errors that localcloud shows to its user as one sentence, without a traceback."""


class LocalcloudError(Exception):
    """Something the user can mend; the text says what, where and what to do."""


class UnsupportedError(LocalcloudError):
    """A type, an option or a call that localcloud refuses by name."""
