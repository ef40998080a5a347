"""Renderings of one report: each shows the same findings, and counts them alike."""
