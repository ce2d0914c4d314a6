# shellcheck shell=bash
# What the scripts share: where things are, how they speak, and how background processes are kept.
# Sourced, never run. Written for bash 3.2 (macOS) and later; nothing here needs curl, jq or ps.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck disable=SC2034 # used by the scripts that source this file
LOCAL="$ROOT/.local"

# A service manager or a bare CI shell often has no login profile, so cargo may not be on PATH yet.
if ! command -v cargo >/dev/null && [ -x "${HOME:-}/.cargo/bin/cargo" ]; then
    PATH="$HOME/.cargo/bin:$PATH"
fi

# ---- speaking: progress goes to stderr, so that stdout carries only what a caller may want to read ----

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
    bold='' dim='' red='' green='' plain=''
fi

# One line of news.
say() { printf '%s\n' "$*" >&2; }

# The heading of a part whose own output follows (cargo shows its progress better than we could).
heading() { printf '%s==> %s%s\n' "$bold" "$*" "$plain" >&2; }

# The end, with a sentence that says what to do.
die() {
    printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2
    exit 1
}

# The last lines of a log, for a failure that is explained there.
show_tail() {
    [ -s "$1" ] || return 0
    say "last lines of $1:"
    tail -n "${2:-25}" "$1" | sed 's/^/    /' >&2
}

# Rewrites one terminal line every second until killed, so that a long step is not mistaken for a hang.
tick() {
    while sleep 1 && kill -0 "$$" 2>/dev/null; do
        printf '\r    %s %s(%ss)%s ' "$1" "$dim" "$((SECONDS - $2))" "$plain" >&2
    done
}

# Runs a quiet command as one visible line with its elapsed seconds; its output is shown only if it fails.
step() {
    local label="$1" began=$SECONDS log ticker='' status=0
    shift
    log=$(mktemp "${TMPDIR:-/tmp}/rastro-step.XXXXXX")
    printf '    %s ' "$label" >&2
    if [ -t 2 ]; then
        tick "$label" "$began" &
        ticker=$!
    fi
    "$@" </dev/null >"$log" 2>&1 || status=$?
    if [ -n "$ticker" ]; then
        kill "$ticker" 2>/dev/null || true
        wait "$ticker" 2>/dev/null || true
        printf '\r    %s ' "$label" >&2
    fi
    if [ "$status" = 0 ]; then
        printf '%sok%s (%ss)      \n' "$green" "$plain" "$((SECONDS - began))" >&2
    else
        printf '%sfailed%s (%ss)      \n' "$red" "$plain" "$((SECONDS - began))" >&2
        show_tail "$log"
    fi
    rm -f "$log"
    return "$status"
}

# ---- small tools ----

# N random bytes as hex: safe in a URL, an environment file and a header.
random_hex() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# True if something already listens on this port of the loopback address.
port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The given port if it is free, else a free one below the ephemeral range (an outgoing connection cannot take it).
free_port() {
    local port="${1:-0}" tries=0
    while [ "$port" = 0 ] || port_taken "$port"; do
        tries=$((tries + 1))
        [ "$tries" -le 200 ] || die "no free TCP port found on 127.0.0.1"
        port=$((20000 + RANDOM % 12000))
    done
    printf '%s\n' "$port"
}

# True if GET PATH on a loopback port answers 200. Plain bash, because a bare machine may have no curl; in a
# subshell that ignores SIGPIPE, because a server that hangs up early would otherwise end the whole script.
http_ok() (
    trap '' PIPE
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$2" >&3
    IFS= read -r -t 2 status <&3 || exit 1
    case "$status" in "HTTP/1."[01]" 200"*) exit 0 ;; *) exit 1 ;; esac
)

# Where cargo puts what it builds; the user may have moved it with CARGO_TARGET_DIR or a cargo config.
target_dir() {
    cargo metadata --manifest-path "$ROOT/Cargo.toml" --format-version 1 --no-deps --locked |
        sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# ---- background processes: RUN_DIR holds NAME.pid (two lines: pid, program) and NAME.log ----

# The pid of a process we started and that still runs. The program is compared, because a pid left
# over from before a reboot may belong to a stranger by now.
pid_of() {
    local file="$RUN_DIR/$1.pid" pid='' program='' now=''
    [ -f "$file" ] || return 1
    { read -r pid && read -r program; } <"$file" || return 1
    kill -0 "$pid" 2>/dev/null || return 1
    if [ -r "/proc/$pid/cmdline" ]; then
        IFS= read -r -d '' now <"/proc/$pid/cmdline" || return 1
        [ "$now" = "$program" ] || return 1
    else
        now=$(ps -o args= -p "$pid") || return 1
        case "$now" in "$program" | "$program "*) ;; *) return 1 ;; esac
    fi
    printf '%s\n' "$pid"
}

# Starts PROGRAM as background process NAME in a session of its own: Ctrl-C or a closed terminal must not end it.
start_process() {
    local name="$1" program="$2" detach=(nohup)
    shift 2
    mkdir -p "$RUN_DIR"
    command -v setsid >/dev/null && detach=(setsid nohup)
    (
        cd "$ROOT" || exit
        exec "${detach[@]}" "$program" "$@" </dev/null >"$RUN_DIR/$name.log" 2>&1
    ) &
    printf '%s\n%s\n' "$!" "$program" >"$RUN_DIR/$name.pid"
}

# Waits until a started process answers 200 on PORT PATH, at most 60 seconds; says why not.
await_ready() {
    local name="$1" port="$2" path="$3" deadline=$((SECONDS + 60))
    until http_ok "$port" "$path" 2>/dev/null; do
        # Just after the fork the child is not the program yet, so only a vanished pid counts as dead.
        if ! kill -0 "$(head -n 1 "$RUN_DIR/$name.pid")" 2>/dev/null; then
            say "$name stopped before it was ready."
            show_tail "$RUN_DIR/$name.log"
            return 1
        fi
        if [ "$SECONDS" -ge "$deadline" ]; then
            say "$name did not become ready at http://127.0.0.1:$port$path within 60 seconds."
            show_tail "$RUN_DIR/$name.log"
            return 1
        fi
        sleep 0.1
    done
}

# Stops the named processes: SIGTERM to all, up to 15 seconds to drain, then SIGKILL. Nothing running is fine.
stop_processes() {
    local name pid deadline=$((SECONDS + 15))
    for name in "$@"; do
        if pid=$(pid_of "$name"); then kill -TERM "$pid" 2>/dev/null || true; fi
    done
    for name in "$@"; do
        while pid=$(pid_of "$name"); do
            if [ "$SECONDS" -ge "$deadline" ]; then
                say "$name did not stop within 15 seconds; killed."
                kill -KILL "$pid" 2>/dev/null || true
                deadline=$((SECONDS + 15))
            fi
            sleep 0.1
        done
        rm -f "$RUN_DIR/$name.pid"
    done
}
