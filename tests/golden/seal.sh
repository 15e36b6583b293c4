#!/bin/sh
# seal.sh NAME.txtpb: write NAME.pb, the canonical encoding with its digest (field 30, 32 bytes).
# The encoder is protoc's, so that ours is compared with another one. Files of a released schema
# are never written again.
set -eu
here=$(dirname "$0")
out=${1%.txtpb}.pb
protoc --proto_path="$here/../../proto" --proto_path=/usr/include \
    --encode=sandferry.v1.SandboxSnapshot sandferry/v1/snapshot.proto <"$1" >"$out"
digest=$(openssl dgst -sha256 -r "$out" | cut -c1-64 | sed 's/../\\x&/g')
printf '\362\001\040' >>"$out"
/usr/bin/printf '%b' "$digest" >>"$out"
