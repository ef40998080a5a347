#!/bin/sh
# Asks the prediction service for the weight of one person and prints its answer.
#   ./make_prediction.sh [HEIGHT] [URL]      HEIGHT in inches (68), URL http://127.0.0.1:$PORT ($PORT: 8080)
# TOKEN, where callers need one, is sent as a bearer token.
set -eu

height=${1:-68}
url=${2:-http://127.0.0.1:${PORT:-8080}}
url=${url%/}

if ! command -v curl >/dev/null 2>&1; then
    echo "make_prediction.sh: curl is not installed; install it, or POST {\"height\": $height} to $url/predict." >&2
    exit 127
fi

# A proxy of the environment must not get to see what is meant for this machine.
no_proxy="${no_proxy:+$no_proxy,}127.0.0.1,localhost,::1"
export no_proxy

case ${TOKEN:-} in
    *[!A-Za-z0-9._~+/=-]*)
        echo "make_prediction.sh: TOKEN is no bearer token; give it without \"Bearer\" and without spaces." >&2
        exit 1
        ;;
esac

# TOKEN goes by standard input, as a command line can be seen by everybody on the machine.
if ! answer=$(
    { if [ -n "${TOKEN:-}" ]; then printf 'header = "Authorization: Bearer %s"\n' "$TOKEN"; fi; } |
        curl --config - --silent --show-error --max-time 10 --write-out '\n%{http_code}' \
            --header 'Content-Type: application/json' --data-binary "{\"height\": $height}" -- "$url/predict"
); then
    echo "make_prediction.sh: nothing answers at $url; is the service up (make up), and is this its address?" >&2
    exit 1
fi

status=${answer##*
}
printf '%s' "${answer%
*}"
if [ "$status" != 200 ]; then
    echo "make_prediction.sh: the service refused the request (status $status)." >&2
    exit 1
fi
