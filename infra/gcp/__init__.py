"""GCP. Importing this package is free; `infra.gcp.cloud` imports the SDK."""
