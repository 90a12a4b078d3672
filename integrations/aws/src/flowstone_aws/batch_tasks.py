"""AWS Batch as a task: submit a job without waiting for it."""

from __future__ import annotations

from flowstone import make_async_twin, task
from flowstone_aws.batch_provider import SECRETS_REMEDY
from flowstone_aws.credentials import AwsCredentials
from flowstone_aws.job_errors import translate_job_errors
from flowstone_aws.job_variables import check_request
from flowstone_aws.records import JsonValue


@task
def batch_submit(
    job_name: str,
    job_queue: str,
    job_definition: str,
    aws_credentials: AwsCredentials | None = None,
    **batch_kwargs: JsonValue,
) -> str:
    """Submit a job to AWS Batch, and return its id without waiting; `BatchJob` waits for the job.

    Args:
        job_name: the name of the job.
        job_queue: the name or ARN of the queue.
        job_definition: the job definition: a name, a name and revision, or an ARN.
        aws_credentials: the credentials; by default those that boto3 finds.
        **batch_kwargs: further arguments of AWS's ``SubmitJob``.

    Raises:
        JobError: Batch refused the job, or the request contains a secret.
        AccessDenied: the credentials have no permission to submit it.
        CredentialsError: no credentials were found, or they were refused.
        Unreachable: Batch can't be reached, or its response was lost. The job may then have been
            submitted, so this call does not submit it again.

    Example:
        job_id = batch_submit("load", job_queue, job_definition, aws_credentials)
    """
    login = aws_credentials or AwsCredentials()
    where = f"Batch job {job_name!r} in queue {job_queue!r}"
    names = {"jobName": job_name, "jobQueue": job_queue, "jobDefinition": job_definition}
    check_request(where, {**names, **batch_kwargs}, SECRETS_REMEDY)
    with translate_job_errors(where, login.describe_login):
        answer = login.client("batch").submit_job(**names, **batch_kwargs)
    return str(answer["jobId"])


abatch_submit = make_async_twin(batch_submit)
