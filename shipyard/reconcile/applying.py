"""`apply` and `plan FILE`: what the files say becomes a revision (or would), and passes make it so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from shipyard.base.errors import ConfigError, FileError, FileErrors
from shipyard.base.record import Struct, field, replace
from shipyard.execute.run import execute
from shipyard.execute.script import Fence
from shipyard.files import kinds, playbook
from shipyard.model.canonical import stack_digest
from shipyard.model.image import HOLDER
from shipyard.model.observed import Observation, ObservedImage, ObservedNode
from shipyard.model.plan import Action, Notice, Outcome, Plan, PullImage, Status
from shipyard.model.progress import Ending, Progress
from shipyard.model.situation import DesiredStack, Situation
from shipyard.model.spec import Revision, StackSpec
from shipyard.planner import revising
from shipyard.planner.network import choosing
from shipyard.planner.plan import plan
from shipyard.reconcile import images, joining, outside
from shipyard.reconcile.keeper import LeaseKeeper, whoami
from shipyard.reconcile.looking import look, remember_nodes, with_details
from shipyard.reconcile.membership import Membership
from shipyard.reconcile.run import Wish, converge, wished, with_lease
from shipyard.reconcile.session import Session, with_revisions
from shipyard.reconcile.vault import Vault
from shipyard.runtime.dialects import by_name
from shipyard.store.records import SealedSecret


class Given(Struct, frozen=True):
    """What was given on the command line of `apply` or `plan`."""

    paths: tuple[Path, ...]
    extra_vars: Mapping[str, object]
    environ: Mapping[str, str]
    tags: tuple[str, ...] = ()
    prune: bool = False
    untrusted: bool = False
    wish: kinds.Wish = field(default_factory=kinds.Wish)


class Prepared(Struct, frozen=True):
    """The files' stacks as revisions, not stored yet, and the fleet as observed for them.

    `sealed`: by stack, the secrets to store with its revision.
    """

    revisions: tuple[Revision, ...]
    files: tuple[str, ...]
    membership: Membership
    situation: Situation
    notices: tuple[Notice, ...]
    sealed: Mapping[str, tuple[SealedSecret, ...]]


def apply(session: Session, given: Given, wish: Wish, progress: Progress, *, wait: bool = True) -> Ending:
    """Store a revision of each stack in the files, then run passes. `wait` False: run one pass."""

    def work(keeper: LeaseKeeper) -> Ending:
        prepared = prepare(session, given, wish, keeper)
        for notice in prepared.notices:
            progress.on_notice(notice)
        remember_nodes(session, prepared.membership, prepared.situation)
        for revision in prepared.revisions:
            session.store.add_revision(
                revision.spec,
                author=whoami(),
                files=prepared.files,
                now=session.now(),
                sealed=prepared.sealed.get(revision.stack, ()),
            )
        stored = replace(prepared.situation, stacks=session.stacks(), memory=session.store.memory())
        stored = joining.welcome(session, stored, keeper, progress)
        for notice in choosing.apart(stored):
            progress.on_notice(notice)
        seen = (prepared.membership, with_revisions(stored, session))
        about = replace(wish, stacks=frozenset(each.stack for each in prepared.revisions), once=not wait)
        return converge(session, keeper, about, progress, seen)

    return with_lease(session, work, progress, wait=wish.timeout)


def preview(session: Session, given: Given | None, wish: Wish) -> tuple[Situation, Plan]:
    """What apply (or, without files, reconcile) would do, to the end. Nothing is changed, on no node and not here."""
    if given is None:
        membership = session.membership()
        situation = joining.foreseen(session, session.situation(membership, session.stacks(), wish.limit))
        situation = wished(look(session, membership, situation), wish)
        return situation, plan(situation)
    prepared = prepare(session, given, wish, None)
    situation = joining.foreseen(session, prepared.situation)
    situation = with_details(session, prepared.membership, situation)
    decided = plan(situation)
    notices = {*decided.notices, *prepared.notices}
    ordered = tuple(sorted(notices, key=lambda item: (item.target, item.reason, item.detail)))
    return situation, replace(decided, notices=ordered)


def prepare(session: Session, given: Given, wish: Wish, keeper: LeaseKeeper | None) -> Prepared:
    """Read the files, look at the fleet, resolve the images. With a lease, registries are asked through a node."""
    loaded = kinds.load(
        given.paths,
        given.wish,
        inventory=session.inventory,
        project=session.settings.root,
        extra_vars=given.extra_vars,
        tags=given.tags,
        environ=given.environ,
        untrusted=given.untrusted,
        keys=session.opening.keys,
    )
    loaded, sealed = contents(session.vault, loaded, make=keeper is not None)
    heads = {head.revision.stack: head.revision for head in session.store.heads()}
    removing = {head.revision.stack for head in session.store.heads() if head.removing}
    before = {name: revision.spec for name, revision in heads.items() if name not in removing}
    merged = [
        playbook.merge(before.get(spec.name), spec, files=loaded.files, tags=given.tags, prune=given.prune)
        for spec in _declared(loaded, before)
    ]
    specs = [each.stack for each in merged]
    patterns = {service.pattern for spec in specs for service in spec.services}
    membership = session.membership(patterns)
    if not membership.nodes:
        raise ConfigError("no host of the inventory is used by any stack")
    unresolved = desired(session, specs, heads)
    wants = images.wanted(
        [stack for stack in unresolved if stack.revision.stack in {spec.name for spec in specs}], before
    )
    situation = session.situation(membership, unresolved, wish.limit)
    situation = look(session, membership, situation, images=_asked(unresolved, wants))
    pulled: dict[str, str] = {}
    if keeper is not None:
        keeper.compare(situation.seen().values())
        situation, pulled = _pull(session, membership, situation, wants, keeper)
    known, notices = images.resolutions(situation, wants, pulled)
    resolved = [revising.followed(images.resolve(spec, known)) for spec in specs]
    stacks = desired(session, resolved, heads)
    names = {spec.name for spec in specs}
    situation = replace(wished(situation, wish), stacks=stacks, observed=_resolved_images(situation, known))
    said = [*loaded.notices, *(words for each in merged for words in each.notices)]
    return Prepared(
        revisions=tuple(stack.revision for stack in stacks if stack.revision.stack in names),
        files=loaded.files,
        membership=membership,
        situation=situation,
        notices=(*(Notice("files", "Note", words) for words in said), *notices),
        sealed=sealed,
    )


def contents(
    vault: Vault, loaded: playbook.LoadedFiles, *, make: bool
) -> tuple[playbook.LoadedFiles, dict[str, tuple[SealedSecret, ...]]]:
    """The files with what their configs and secrets are, and the secrets to be stored, by stack.

    `make`: seal those. Raises FileErrors with all that is wrong about either.
    """
    problems: list[FileError] = []
    try:
        loaded = outside.resolved(vault.store, loaded)
    except FileErrors as errors:
        problems += errors.errors
    try:
        loaded, sealed = vault.resolved(loaded, make=make and not problems)
    except FileErrors as errors:
        problems += errors.errors
    if problems:
        raise FileErrors(tuple(sorted(problems, key=lambda error: (error.file, error.line or 0, error.column or 0))))
    return loaded, sealed


def _declared(loaded: playbook.LoadedFiles, before: Mapping[str, StackSpec]) -> list[StackSpec]:
    """What the files say of each stack: also of those that they declared before and don't mention any more."""
    names = {spec.name for spec in loaded.stacks}
    names |= {name for name, spec in before.items() if any(service.file in loaded.files for service in spec.services)}
    return [loaded.stack(name) for name in sorted(names)]


def desired(session: Session, specs: Iterable[StackSpec], heads: Mapping[str, Revision]) -> tuple[DesiredStack, ...]:
    """All stacks, these as they would be: the present revision where nothing changed, the next one where it did."""
    revisions = []
    for spec in specs:
        head, digest = heads.get(spec.name), stack_digest(spec)
        if head is not None and stack_digest(head.spec) == digest:
            revisions.append(head)
        else:
            number = head.number + 1 if head is not None else 1
            revisions.append(Revision(spec.name, number, spec, digest, session.now(), whoami()))
    return session.stacks(revisions)


def _asked(stacks: Iterable[DesiredStack], wants: Iterable[images.Wanted]) -> dict[str, set[str]]:
    """References to look up, by node: what is to be resolved, and what was already."""
    asked: dict[str, set[str]] = {}
    for want in wants:
        for node in want.nodes:
            asked.setdefault(node, set()).add(want.reference)
    for stack in stacks:
        for service in stack.revision.spec.services:
            for node in stack.eligible_for(service.name):
                spec = service.container_on(node)
                asked.setdefault(node, set()).update(container.image for container in spec.containers())
                if spec.members:
                    asked[node].add(HOLDER)
                asked[node].update(resolved for _, resolved in service.images)
    return asked


def _pull(
    session: Session, membership: Membership, situation: Situation, wants: Sequence[images.Wanted], keeper: LeaseKeeper
) -> tuple[Situation, dict[str, str]]:
    """Ask the registries, each for one node. What can't be had is left as written: the passes will say why."""
    pulls = images.needs_pull(situation, wants)
    if not pulls:
        return situation, {}
    wave = tuple(
        Action(index, node, want.reference, "Resolve", "", PullImage(want.reference, want.platform, want.ask))
        for index, (node, want) in enumerate(sorted(pulls, key=lambda pull: pull[0]), 1)
    )
    dialects = {name: by_name(node.facts.runtime) for name, node in situation.seen().items()}
    fence = Fence(situation.cluster, session.store.uuid, keeper.epoch)
    keeper.acted = True
    outcomes: tuple[Outcome, ...] = execute(
        session.fleet(membership),
        wave,
        dialects,
        fence,
        credentials=session.credentials().auth_for,
        pull=session.settings.timeouts.pull,
    )
    pulled = {outcome.action.target: outcome.action.node for outcome in outcomes if outcome.status == Status.DONE}
    if not pulled:
        return situation, {}
    nodes = sorted(set(pulled.values()))
    again = look(
        session,
        membership,
        situation,
        images=_asked(situation.stacks, wants),
        only=nodes,
    )
    fresh = {answer.name: answer for answer in again.observed}
    observed = tuple(fresh.get(answer.name, answer) for answer in situation.observed)
    return replace(situation, observed=observed), pulled


def _resolved_images(situation: Situation, known: Mapping[str, str]) -> tuple[Observation, ...]:
    """An image found by its tag is also there by what the tag was resolved to."""
    return tuple(
        replace(answer, images=(*answer.images, *_by_digest(answer.images, known)))
        if isinstance(answer, ObservedNode)
        else answer
        for answer in situation.observed
    )


def _by_digest(there: tuple[ObservedImage, ...], known: Mapping[str, str]) -> tuple[ObservedImage, ...]:
    found = [(image, known[image.reference]) for image in there if image.reference in known]
    return tuple(replace(image, reference=name) for image, name in found if name == image.id or name in image.digests)
