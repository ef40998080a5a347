"""Our own rules about AWS."""
