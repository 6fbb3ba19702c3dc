"""The fence on a node, as shell text: what keeps two masters apart.

A laptop and a cron job with a store each, a store restored from a backup, the holder of a lease that slept, a script
that outlived its master: each asks the node itself whether it may act, and only one at a time is inside.
"""

from __future__ import annotations

from shipyard.runtime import nodedir

_FENCE = r"""
sy_stop() { sy_frame "$@"; sy_frame done; exit 0; }
sy_holder() {
  sy_owner='' sy_epoch=''
  [ -e "$sy_dir/owner" ] && read -r sy_owner <"$sy_dir/owner"
  [ -e "$sy_dir/epoch" ] && read -r sy_epoch <"$sy_dir/epoch"
  case $sy_epoch in *[!0-9]*) sy_stop refused epoch "$sy_epoch" ;; esac
}
sy_check() {
  sy_holder
  [ "$sy_owner" = @STORE@ ] || sy_stop refused owner "$sy_owner"
  [ "${sy_epoch:-0}" -le @EPOCH@ ] || sy_stop refused epoch "$sy_epoch"
}
sy_claim() {
  sy_holder
  case $sy_owner in
    @STORE@) ;;
    *)
      [ @TAKE@ = yes ] || [ -z "$sy_owner" ] || sy_stop refused owner "$sy_owner"
      printf '%s\n' @STORE@ | sy_keep "$sy_dir/owner" || sy_stop broken "$sy_dir can not be written"
      ;;
  esac
  if [ @TAKE@ = yes ] || [ "${sy_epoch:-0}" -lt @EPOCH@ ]; then
    printf '%s\n' @EPOCH@ | sy_keep "$sy_dir/epoch" || sy_stop broken "$sy_dir can not be written"
  fi
  sy_check
}
sy_enter() {
  command -v flock >/dev/null 2>&1 || sy_stop broken 'flock is not installed here'
  sy_make && true 2>/dev/null >>"$sy_dir/lock" || sy_stop broken "$sy_dir can not be made"
  exec 9>>"$sy_dir/lock"
  if ! flock -n 9; then
    sy_holder
    if [ "$sy_owner" = @STORE@ ] || [ @TAKE@ = yes ]; then sy_claim; fi
    sy_left=@WAIT@
    until flock -n 9; do
      [ "$sy_left" -gt 0 ] || sy_stop busy
      sy_left=$((sy_left - 1))
      sleep 1
    done
  fi
  sy_claim
}
"""


def fencing(store: str, epoch: int, *, take_over: bool, wait: int) -> str:
    """`sy_enter`: take the lock, waiting for `wait` seconds, and claim the node, or stop; `sy_check`: still ours?

    Who has to wait writes the newer epoch (or owner) first: the script that holds the lock looks again between its
    actions, and so stops at the next one. A stop is framed: `refused owner UUID`, `refused epoch NUMBER`, `busy`
    (the lock was not free in time), `broken TEXT`.
    """
    text = _FENCE
    for mark, value in (
        ("STORE", nodedir.checked(store)),
        ("EPOCH", epoch),
        ("TAKE", "yes" if take_over else "no"),
        ("WAIT", wait),
    ):
        text = text.replace(f"@{mark}@", str(value))
    return text
