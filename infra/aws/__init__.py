"""AWS. Importing this package is free; `infra.aws.cloud` imports the SDK, which takes a second."""
