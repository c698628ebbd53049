"""A cluster of this machine: every job is a Snakemake of its own, started by the line that a cluster would get."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_default_storage_provider_args=True,
    pass_default_resources_args=True,
    pass_envvar_declarations_to_cmd=True,
    auto_deploy_default_storage_provider=False,
    init_seconds_before_status_checks=0,
)


class Executor(RemoteExecutor):
    """Starts each job's line in a process and looks whether it has ended."""

    def __post_init__(self) -> None:
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def run_job(self, job: JobExecutorInterface) -> None:
        process = subprocess.Popen(self.format_job_exec(job), shell=True)
        self.processes[str(process.pid)] = process
        self.report_job_submission(SubmittedJobInfo(job, external_jobid=str(process.pid)))

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncGenerator[SubmittedJobInfo, None]:
        for job in active_jobs:
            code = self.processes[job.external_jobid].poll()
            if code is None:
                yield job
            elif code:
                self.report_job_error(job)
            else:
                self.report_job_success(job)

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        for job in active_jobs:
            self.processes[job.external_jobid].terminate()
