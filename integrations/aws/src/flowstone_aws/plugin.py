"""The collection of this package; importing it does not load boto3."""

from flowstone.plugins import Collection, hookimpl


@hookimpl
def collection() -> Collection:
    return Collection(
        blocks={
            "aws-credentials": "flowstone_aws.credentials:AwsCredentials",
            "aws-secret": "flowstone_aws.secrets:AwsSecret",
            "aws-secrets": "flowstone_aws.secrets:AwsSecrets",
            "aws-ssm": "flowstone_aws.ssm:AwsParameters",
            "batch-job": "flowstone_aws.batch:BatchJob",
            "ecs-task": "flowstone_aws.ecs:EcsTask",
            "lambda-function": "flowstone_aws.lambda_function:LambdaFunction",
            "minio-credentials": "flowstone_aws.credentials:MinIOCredentials",
            "s3-bucket": "flowstone_aws.s3:S3Bucket",
        },
        schemes={"s3": "flowstone_aws.s3:S3Bucket"},
        secret_providers={
            "aws-secrets": "flowstone_aws.secrets:AwsSecrets",
            "aws-ssm": "flowstone_aws.ssm:AwsParameters",
        },
        tasks={
            "aws_secret_create": "flowstone_aws.secrets_tasks:aws_secret_create",
            "aws_secret_delete": "flowstone_aws.secrets_tasks:aws_secret_delete",
            "aws_secret_read": "flowstone_aws.secrets_tasks:aws_secret_read",
            "aws_secret_update": "flowstone_aws.secrets_tasks:aws_secret_update",
            "batch_submit": "flowstone_aws.batch_tasks:batch_submit",
            "client_waiter": "flowstone_aws.waiters:client_waiter",
            "s3_copy": "flowstone_aws.s3_tasks:s3_copy",
            "s3_download": "flowstone_aws.s3_tasks:s3_download",
            "s3_list_objects": "flowstone_aws.s3_tasks:s3_list_objects",
            "s3_move": "flowstone_aws.s3_tasks:s3_move",
            "s3_upload": "flowstone_aws.s3_tasks:s3_upload",
        },
    )
