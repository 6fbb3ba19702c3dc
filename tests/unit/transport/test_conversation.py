"""One command from start to end, with a process that says what each test wants it to."""

from __future__ import annotations

import math

import pytest

from shipyard.base.errors import NodeError, NotObserved, SudoFailed, TimedOut, Truncated, Unreachable
from shipyard.model.inventory import Become
from shipyard.transport.connection import Completed
from shipyard.transport.conversation import Chunk, Conversation
from shipyard.transport.program import PROMPT, Program, attached, frame, script_runner

READY = b"shipyard-ready\n"
PLAIN = script_runner(None, "me")
ASKED = script_runner(Become(password="secret"), "me")
NOT_ASKED = script_runner(Become(), "me")


class Scripted:
    """A fake: says these chunks in order; None stands for silence until the time is over."""

    def __init__(self, *chunks: Chunk | None, status: int | None = 0) -> None:
        self._chunks = list(chunks)
        self._status = status
        self.got = b""
        self.got_before: list[bytes] = []
        self.stopped = False

    def send(self, data: bytes, timeout: float) -> None:
        self.got += data

    def read(self, timeout: float) -> Chunk:
        self.got_before.append(self.got)
        chunk = self._chunks.pop(0) if self._chunks else Chunk(ended=True)
        return Chunk() if chunk is None else chunk

    def status(self, timeout: float) -> int | None:
        return None if self._chunks else self._status

    def stop(self) -> None:
        self.stopped = True


def talk(process: Scripted, program: Program = PLAIN, *, timeout: float = 30, max_bytes: int = 1000) -> Completed:
    return Conversation("node1", process, program, timeout=timeout, starting=timeout).run(b"true", max_bytes)


def failure(process: Scripted, program: Program = PLAIN, *, timeout: float = 30) -> NodeError:
    with pytest.raises(NodeError) as raised:
        talk(process, program, timeout=timeout)
    assert process.stopped
    return raised.value


def test_noise_before_the_script_is_cut_off_wherever_it_is_split() -> None:
    out, err = b"welcome\n" + READY + b"one\n", b"motd\n" + READY + b"two\n"
    for cut in range(len(out) + 1):
        process = Scripted(Chunk(out[:cut], err[:cut]), Chunk(out[cut:], err[cut:]), Chunk(b"three\n"), status=4)
        assert talk(process) == Completed(4, b"one\nthree\n", b"two\n")
        assert process.got == frame(b"true")


def test_the_end_can_come_with_the_first_words() -> None:
    assert talk(Scripted(Chunk(READY + b"all", READY, ended=True))) == Completed(0, b"all", b"")


def test_the_password_is_sent_once_and_only_when_asked_and_the_script_after_it() -> None:
    asks = Scripted(
        None, Chunk(stderr=b"lecture\n" + PROMPT[:5]), Chunk(stderr=PROMPT[5:]), Chunk(READY, READY), status=0
    )
    talk(asks, ASKED)
    assert asks.got_before[2] == b""
    assert asks.got_before[3] == b"secret\n"
    assert asks.got == b"secret\n" + frame(b"true")
    silent = Scripted(Chunk(READY, READY))
    talk(silent, ASKED)
    assert silent.got == frame(b"true")


def test_a_second_question_means_a_wrong_password_and_gets_no_answer() -> None:
    process = Scripted(Chunk(stderr=PROMPT), Chunk(stderr=b"\nSorry, try again.\n" + PROMPT), None)
    error = failure(process, ASKED)
    assert isinstance(error, SudoFailed)
    assert error.message.startswith("sudo did not accept the password")
    assert "Sorry, try again." in error.message
    assert process.got == b"secret\n"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (b"sudo: a password is required", "ansible_become_password"),
        (b"sudo: sorry, you must have a tty to run sudo", "requiretty"),
        (b"sh: 1: sudo: not found", "install sudo"),
        (b"me is not in the sudoers file.", "must be allowed"),
    ],
)
def test_sudos_own_words_and_what_to_do(words: bytes, hint: str) -> None:
    error = failure(Scripted(Chunk(stderr=words, ended=True), status=1), NOT_ASKED)
    assert isinstance(error, SudoFailed)
    assert words.decode() in error.message
    assert hint in (error.hint or "")


def test_a_login_shell_that_ends_is_alive_and_a_broken_connection_is_not() -> None:
    ended = failure(Scripted(Chunk(b"\x1b[31mno logins\n", ended=True), status=1))
    assert type(ended) is NotObserved
    assert "status 1" in ended.message
    assert "no logins" in ended.message
    assert "\x1b" not in ended.message
    broken = failure(Scripted(Chunk(ended=True), status=None))
    assert isinstance(broken, Unreachable)


def test_a_connection_that_breaks_during_the_answer_is_truncated() -> None:
    error = failure(Scripted(Chunk(READY, READY), Chunk(b"half"), status=None))
    assert isinstance(error, Truncated)


def test_an_answer_that_is_too_long_is_truncated_on_either_output() -> None:
    for chunk in (Chunk(b"x" * 1001), Chunk(b"", b"x" * 1001), Chunk(b"x" * 600, b"x" * 600)):
        assert isinstance(failure(Scripted(Chunk(READY, READY), chunk, None)), Truncated)
    assert talk(Scripted(Chunk(READY + b"x" * 500, READY + b"x" * 500))).status == 0


def test_time_that_is_over_before_and_after_the_start() -> None:
    before = failure(Scripted(None), timeout=0)
    assert isinstance(before, TimedOut)
    assert "did not start" in before.message
    after = failure(Scripted(Chunk(READY, READY), None), timeout=0)
    assert isinstance(after, TimedOut)
    assert "did not end in 0 s" in after.message


def test_endless_noise_is_not_kept() -> None:
    noise = [Chunk(b"x" * 100_000, b"y" * 100_000) for _ in range(50)]
    assert talk(Scripted(*noise, Chunk(READY + b"fine", READY))).stdout == b"fine"


def test_following_hands_pieces_over_as_they_come() -> None:
    heard: list[bytes] = []
    process = Scripted(Chunk(READY, READY), Chunk(b"one"), Chunk(b"", b"two"), status=9)
    conversation = Conversation("node1", process, PLAIN, timeout=math.inf, starting=5)
    assert conversation.stream(b"true", heard.append, heard.append) == 9
    assert heard == [b"one", b"two"]


def test_an_attached_command_begins_behind_the_noise() -> None:
    program = attached(("cat",), Become(password="secret"), "me")
    process = Scripted(Chunk(b"\r\n" + PROMPT), Chunk(b"\r\nshipyard-ready\r\nfirst"))
    assert Conversation("node1", process, program, timeout=9, starting=9).begin().stdout == b"first"
    assert process.got == b"secret\n"


def test_nothing_of_a_script_or_a_password_is_in_an_argument_list() -> None:
    for program in (PLAIN, ASKED, NOT_ASKED):
        assert "secret" not in program.command
        assert "secret" not in repr(program)
        assert not {"'", "\\", "\n", "!"} & set(program.argv[-1])
    assert ASKED.argv[:4] == ("env", "LC_ALL=C", "sudo", "-H")
    assert not script_runner(Become("me"), "me").sudo


def test_a_script_with_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        frame(b"echo \0")
