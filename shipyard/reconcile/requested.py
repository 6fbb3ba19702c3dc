"""`job run`: a run that someone asked for. It is written down, and begun by the passes that follow."""

from __future__ import annotations

from shipyard.base.errors import ShipyardError, UsageError
from shipyard.model.event import Event
from shipyard.model.job import JOB_MODES, JobRun
from shipyard.model.progress import Ending, Progress
from shipyard.model.request import JobRequest
from shipyard.model.spec import Revision, ServiceSpec
from shipyard.planner.job_schedule import asked
from shipyard.reconcile.keeper import LeaseKeeper, whoami
from shipyard.reconcile.revising import head_of
from shipyard.reconcile.run import Wish, converge, with_lease
from shipyard.reconcile.session import Session


def run(session: Session, request: JobRequest, progress: Progress) -> tuple[Ending, JobRun]:
    """Begin a run of a job, and wait for it unless told otherwise. Raises ShipyardError where it may not begin."""
    _job(head_of(session, request.stack), request)
    number = 0

    def work(keeper: LeaseKeeper) -> Ending:
        nonlocal number
        now = session.now()
        revision = head_of(session, request.stack)  # whoever was waited for may have applied another
        service = _job(revision, request)
        try:
            memory, number = asked(session.store.memory(), request.stack, service, revision.number, now)
        except ValueError as error:
            raise ShipyardError(f"not run: {error}") from error
        session.store.save_memory(memory)
        name = f"{request.stack}/{request.service}"
        session.store.add_events([Event(now, "JobRequested", name, f"run {number}, asked for by {whoami()}")])
        wish = Wish(kind="job", timeout=request.timeout, once=not request.wait)
        return converge(session, keeper, wish, progress)

    ending = with_lease(session, work, progress, wait=request.timeout)
    job = next(job for job in session.store.memory().jobs if job.key == (request.stack, request.service))
    return ending, next(each for each in job.runs if each.number == number)


def _job(revision: Revision, request: JobRequest) -> ServiceSpec:
    service = revision.spec.service(request.service)
    if service is None or service.mode not in JOB_MODES:
        jobs = [each.name for each in revision.spec.services if each.mode in JOB_MODES]
        known = ", ".join(f"{request.stack}/{name}" for name in jobs) or "none"
        raise UsageError(f"{request.stack} has no job {request.service}; its jobs are: {known}")
    return service
