#!/bin/bash
# Trains in a container on this machine, from boot to shutdown. Set by who starts the machine:
#
#   CLOUD         aws, gcp or azure
#   IMAGE         what runs, by digest
#   COMMAND       how: the arguments of the image's entry point, a JSON list
#   ENVIRONMENT   its variables: a JSON object
#   SHARED        what is mounted at /mnt/shared: fs-… (EFS) or HOST:/EXPORT (NFS)
#   IDLE_MINUTES  after so many without a running container a spot machine leaves MACHINES and shuts down
# and, where they are of use:
#   MACHINES      the group that it leaves (a name; on Azure an id), whose machines on demand are its floor, and stay
#   METADATA      the metadata service, in place of the cloud's own
#   AWS_REGION, ACCESS_POINT (of EFS), LOG_GROUP; REGION (GCP); AZURE_CLIENT_ID
#
# Nothing is installed, as there is no way to the internet: the machine image has docker, curl, python3 and the mount
# helper (amazon-efs-utils, nfs-common, aznfs). As AWS takes 16 KB of user data, this file must stay well under.
#
# The container finds a directory in CHECKPOINTS. What it leaves there (written under another name, then renamed) is
# copied to /mnt/shared/checkpoints every minute, and after the SIGTERM that it gets when the cloud gives notice. The
# next boot, of this machine or of its replacement, puts it back before it starts; an exit with 0 removes it. One
# machine at a time works on the same image, command and environment.
set -euo pipefail
umask 077

: "${CLOUD:?must be aws, gcp or azure}" "${IMAGE:?must be set}" "${COMMAND:?must be set}" "${ENVIRONMENT:?must be set}"
: "${SHARED:?must be set}" "${IDLE_MINUTES:?must be set}"

mount_point=${MOUNT_POINT:-/mnt/shared} # this and the next are moved by tests alone
work=${WORK:-/var/lib/training}
tick=5        # seconds between two looks at the metadata service, as AWS recommends
save_every=60 # seconds between two copies of the checkpoint
logs=() ending=''
export HOME=${HOME:-/root} DOCKER_CONFIG=$work/docker # a boot has no HOME

say() { echo "train.sh: $*"; }

fail() {
    echo "train.sh: $*" >&2
    exit 1
}

case $CLOUD in # notice is given 120 s before on AWS and 30 s on GCP and Azure; what `grace` leaves is for the copy
    aws)
        METADATA=${METADATA:-http://169.254.169.254} type=efs options=tls,iam grace=90
        if [ -n "${ACCESS_POINT:-}" ]; then options=$options,accesspoint=$ACCESS_POINT; fi
        ;;
    gcp) METADATA=${METADATA:-http://metadata.google.internal} type=nfs4 options=hard grace=20 ;;
    azure) METADATA=${METADATA:-http://169.254.169.254} type=aznfs options=vers=4,minorversion=1,sec=sys grace=20 ;;
    *) fail "CLOUD is $CLOUD; it must be aws, gcp or azure." ;;
esac

check() {
    local name missing=''
    for name in docker curl python3 mountpoint "mount.$type"; do
        command -v "$name" >/dev/null || missing="$missing $name"
    done
    [ -z "$missing" ] || fail "the machine image lacks$missing; nothing is installed at boot."
    [[ $IDLE_MINUTES =~ ^[0-9]+$ ]] || fail "IDLE_MINUTES is $IDLE_MINUTES; it must be a whole number."
}

# Runs a command until it succeeds: the network, names and roles of a new machine take a moment.
persist() {
    local tries=24
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "'$*' failed for two minutes."
        sleep "$tick"
    done
}

ask() { curl --silent --fail --max-time 5 --noproxy "${METADATA#*//}" "$@"; }

# A member of the JSON object on standard input.
member() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

aws_ask() {
    local token
    token=$(ask --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$METADATA/latest/api/token") || return
    ask --header "X-aws-ec2-metadata-token: $token" "$METADATA/latest/meta-data/$1"
}

gcp_ask() { ask --header 'Metadata-Flavor: Google' "$METADATA/computeMetadata/v1/$1"; }

azure_ask() { ask --header 'Metadata: true' "$METADATA/metadata/$1"; }

# Whose request it is, for curl's --config -: a token, or the keys that it signs with. Never on a command line.
authority() {
    case $CLOUD in
        aws) aws_ask "iam/security-credentials/$(aws_ask iam/security-credentials/)" | python3 -c '
import json, sys
keys = json.load(sys.stdin)
print("user = \"{AccessKeyId}:{SecretAccessKey}\"\nheader = \"X-Amz-Security-Token: {Token}\"".format(**keys))' ;;
        gcp) echo "header = \"Authorization: Bearer $(gcp_token)\"" ;;
        azure) echo "header = \"Authorization: Bearer $(azure_token)\"" ;;
    esac
}

gcp_token() { gcp_ask instance/service-accounts/default/token | member access_token; }

azure_token() {
    local who=${AZURE_CLIENT_ID:+&client_id=$AZURE_CLIENT_ID}
    azure_ask "identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/$who" |
        member access_token
}

# What the cloud calls this machine; the answer also shows that there is a network.
machine_name() {
    case $CLOUD in
        aws) aws_ask instance-id ;;
        gcp) gcp_ask instance/name ;;
        azure) azure_ask 'instance/compute/name?api-version=2021-02-01&format=text' ;;
    esac >"$work/name"
}

# Whether the cloud has given notice. Sources: AWS, "Spot Instance interruption notices"; Google, "Preemptible VM
# instances"; Microsoft, "Scheduled Events for Linux VMs".
interrupted() {
    case $CLOUD in
        aws) aws_ask spot/instance-action ;;
        gcp) [ "$(gcp_ask instance/preempted)" = TRUE ] ;;
        azure) [ -n "$(azure_event)" ] ;;
    esac >/dev/null 2>&1
}

# The id of the event that takes this machine away, if there is one: a set's machines see each other's.
azure_event() {
    azure_ask 'scheduledevents?api-version=2020-07-01' | python3 -c '
import json, sys
for event in json.load(sys.stdin)["Events"]:
    if event["EventType"] in ("Preempt", "Terminate") and sys.argv[1] in event["Resources"]:
        print(event["EventId"])
        break' "$me"
}

log_in() {
    local host=${IMAGE%%/*}
    case $CLOUD in
        aws)
            authority | ask --config - --aws-sigv4 "aws:amz:$AWS_REGION:ecr" --data '{}' \
                --header 'Content-Type: application/x-amz-json-1.1' \
                --header 'X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken' \
                "https://api.ecr.$AWS_REGION.amazonaws.com/" | python3 -c '
import base64, json, sys
token = json.load(sys.stdin)["authorizationData"][0]["authorizationToken"]
print(base64.b64decode(token).decode().partition(":")[2])' | sign_in AWS "$host"
            ;;
        gcp) gcp_token | sign_in oauth2accesstoken "https://$host" ;;
        azure) # a token of the identity for one of the registry's own
            azure_token | tr -d '\n' |
                ask --data-urlencode access_token@- --data "grant_type=access_token&service=$host" \
                    "https://$host/oauth2/exchange" |
                member refresh_token | sign_in 00000000-0000-0000-0000-000000000000 "$host"
            ;;
    esac
}

sign_in() { docker login --username "$1" --password-stdin "$2" >/dev/null; }

mount_shared() {
    mkdir -p "$mount_point"
    mountpoint -q "$mount_point" || mount -t "$type" -o "$options" "$SHARED" "$mount_point"
}

# COMMAND and ENVIRONMENT as arguments of docker run, each ended by a NUL.
arguments() {
    python3 - "$COMMAND" "$ENVIRONMENT" "$IMAGE" <<'PYTHON'
import json, sys
command, environment, image = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
variables = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
sys.stdout.write("".join(part + "\0" for part in [*variables, image, *command]))
PYTHON
}

# One machine works on a job: it writes its name into a file, again and again.
claim() {
    local owner=$saved.owner
    if [ -n "$(find "$owner" -mmin -3 2>/dev/null)" ] && [ "$(cat "$owner")" != "$me" ]; then return 1; fi
    echo "$me" >"$owner"
}

# A copy is whole before it takes the place of the one before. Owners are not copied: EFS has its own.
copy() { cp -R --preserve=mode,timestamps "$1" "$2"; }

save() {
    [ -n "$(ls -A "$work/checkpoints")" ] || return 0
    rm -rf "$saved.new" "$saved.old"
    copy "$work/checkpoints" "$saved.new"
    if [ -d "$saved" ]; then mv "$saved" "$saved.old"; fi
    mv "$saved.new" "$saved"
    rm -rf "$saved.old"
}

restore() {
    rm -rf "$work/checkpoints"
    if [ ! -d "$saved" ] && [ -d "$saved.old" ]; then mv "$saved.old" "$saved"; fi
    if [ -d "$saved" ]; then
        copy "$saved" "$work/checkpoints"
        say "resuming from $saved"
    fi
    mkdir -p "$work/checkpoints"
    chmod -R a+rwX "$work/checkpoints" # the image's user is a number that this machine does not know
}

start() {
    local found gpus=()
    arguments >"$work/arguments"
    mapfile -d '' -t found <"$work/arguments"
    if command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then gpus=(--gpus all); fi
    if [ -n "${LOG_GROUP:-}" ]; then
        logs=(--log-driver awslogs --log-opt "awslogs-region=$AWS_REGION" --log-opt "awslogs-group=$LOG_GROUP"
            --log-opt "awslogs-stream=$me")
    elif [ "$CLOUD" = gcp ]; then
        logs=(--log-driver gcplogs)
    fi
    docker rm --force training >/dev/null 2>&1 || true
    # On the machine's own network, as the metadata service may answer nobody who is a hop further away.
    docker run --name training --init --network host "${gpus[@]}" "${logs[@]}" --volume "$mount_point:/mnt/shared" \
        --volume "$work/checkpoints:/checkpoints" --env CHECKPOINTS=/checkpoints "${found[@]}" &
    training=$!
}

# Watches until training ends (its exit code) or the machine is to go (100).
watch() {
    local unsaved=0
    while kill -0 "$training" 2>/dev/null; do
        if [ -n "$ending" ] || interrupted; then
            say "this machine is to go: stopping for a checkpoint"
            docker stop -t "$grace" training >/dev/null || true
            wait "$training" || true
            return 100
        fi
        unsaved=$((unsaved + tick))
        if [ "$unsaved" -ge "$save_every" ]; then
            if claim; then save; fi
            unsaved=0
        fi
        sleep "$tick"
    done
    wait "$training"
}

train() {
    local code=0
    restore
    start
    say "training"
    watch || code=$?
    case $code in
        0)
            rm -rf "$saved" "$saved.old" "$work/checkpoints"
            say "training is done"
            ;;
        100)
            save
            say "the checkpoint is in $saved"
            ;;
        *)
            save
            say "training failed with exit code $code; its checkpoint is kept in $saved"
            ;;
    esac
    rm -f "$saved.owner" # whoever comes next need not wait
    [ "$code" -ne 100 ] || depart
}

# The rest of the notice is not needed: Azure is told so.
depart() {
    local event
    if [ "$CLOUD" = azure ] && event=$(azure_event) && [ -n "$event" ]; then
        ask --header 'Metadata: true' --data "{\"StartRequests\": [{\"EventId\": \"$event\"}]}" \
            "$METADATA/metadata/scheduledevents?api-version=2020-07-01" >/dev/null || true
    fi
    exit 0
}

# Whether this is a spot machine, as its metadata service says. One that does not learn it stays.
is_spot() {
    case $CLOUD in
        aws) [ "$(aws_ask instance-life-cycle)" = spot ] ;;
        gcp) [ "$(gcp_ask instance/scheduling/preemptible)" = TRUE ] ;;
        azure) [ "$(azure_ask 'instance/compute/priority?api-version=2021-02-01&format=text')" = Spot ] ;;
    esac
}

# Takes this machine out of its group, which would put another in its place. Fails where it is to stay.
leave() {
    local zone project group json='Content-Type: application/json'
    [ -z "${MACHINES:-}" ] || is_spot || return
    case ${MACHINES:+$CLOUD} in
        aws)
            authority | ask --config - --aws-sigv4 "aws:amz:$AWS_REGION:autoscaling" --data "Version=2011-01-01" \
                --data "Action=TerminateInstanceInAutoScalingGroup&InstanceId=$me&ShouldDecrementDesiredCapacity=true" \
                "https://autoscaling.$AWS_REGION.amazonaws.com/"
            ;;
        gcp)
            zone=$(gcp_ask instance/zone) project=$(gcp_ask project/project-id) group=instanceGroupManagers/$MACHINES
            authority | ask --config - --header "$json" --data "{\"instances\": [\"zones/${zone##*/}/instances/$me\"]}" \
                "https://compute.googleapis.com/compute/v1/projects/$project/regions/$REGION/$group/deleteInstances"
            ;;
        azure)
            authority | ask --config - --header "$json" --data "{\"instanceIds\": [\"$me\"]}" \
                "https://management.azure.com$MACHINES/delete?api-version=2024-07-01"
            ;;
    esac >/dev/null
}

main() {
    local idle=0 waiting=''
    check
    mkdir -p "$work"
    chmod 0711 "$work"
    persist machine_name
    me=$(cat "$work/name")
    persist mount_shared
    saved=$mount_point/checkpoints/$(printf '%s\n' "$IMAGE" "$COMMAND" "$ENVIRONMENT" | sha256sum | cut -c 1-16)
    mkdir -p "$mount_point/checkpoints"
    persist log_in
    trap 'ending=yes' TERM
    if claim; then
        train
    else
        say "another machine trains this; should it go, this one goes on"
        waiting=yes
    fi
    while true; do
        # Done, the other has left neither its name nor a checkpoint.
        if [ -n "$waiting" ] && { [ -e "$saved.owner" ] || [ -d "$saved" ]; } && claim; then
            waiting=''
            train
            idle=0
        fi
        if [ "$idle" -ge $((IDLE_MINUTES * 60)) ]; then
            say "nothing has trained for $IDLE_MINUTES minutes: shutting down"
            if leave; then break; fi
            say "this machine stays: it is of the floor, or its group keeps it"
            idle=0
        fi
        if [ -n "$ending" ] || interrupted; then depart; fi
        sleep "$tick"
        idle=$((idle + tick))
        if [ -n "$(docker ps --quiet)" ]; then idle=0; fi # somebody trains by hand
    done
    shutdown -h now
}

main
