"""The playground: a page of the service to try queries on, and to see what was decided and logged."""
