"""Where sagas are kept. All keep the contract of `SagaStore`; each is imported from its own module."""
