"""Azure. Importing this package is free; `infra.azure.cloud` imports the SDK."""
