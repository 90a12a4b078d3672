"""The collection of this package; importing it loads neither SQLAlchemy nor a driver."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "async-sqlalchemy-connector": "flowstone_sqlalchemy.connector:AsyncSqlAlchemyConnector",
            "database-credentials": "flowstone_sqlalchemy.credentials:DatabaseCredentials",
            "sqlalchemy-connector": "flowstone_sqlalchemy.connector:SqlAlchemyConnector",
        },
    )
