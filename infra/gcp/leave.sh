# shellcheck shell=bash
# In place of the command of that name: a machine that has nothing to do takes itself out of its group, which would
# start another in its place if it just went. A machine of the floor (GROUP is empty) stays, as it was asked for.
shutdown() {
    local machine zone token
    [ -n "$GROUP" ] || return 0
    machine=$(gcp_ask name)
    zone=$(gcp_ask zone) # projects/NUMBER/zones/ZONE
    token=$(gcp_ask service-accounts/default/token | member access_token)
    curl --silent --show-error --fail --max-time 60 --request POST --output /dev/null \
        --header "Authorization: Bearer $token" --header 'Content-Type: application/json' \
        --data "{\"instances\": [\"$zone/instances/$machine\"]}" \
        "${COMPUTE_API:-https://compute.googleapis.com/compute/v1}/$GROUP/deleteInstances"
}
