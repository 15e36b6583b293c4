#!/bin/bash
# What bash offers. Argument: the command.
set -eu
source <("$1" completion)

# offers "WORDS OF THE LINE" EXPECTED...: the last word is being completed.
offers() {
    read -ra COMP_WORDS <<<"$1"
    [[ $1 == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _sandferry
    shift
    [[ ${COMPREPLY[*]} == "$*" ]] ||
        { echo "'${COMP_WORDS[*]}' offers: ${COMPREPLY[*]}; not: $*"; exit 1; }
}
offers "sandferry re" restore resume
offers "sandferry -H unix:/x disk " add rm ls
offers "sandferry share " add rm ls
offers "sandferry device add web nvme --prop" --property
offers "sandferry --timeout 3 ctr k" kill
offers "sandferry save web --a" --after
offers "sandferry ctr create web app --sc" --scratch
offers "sandferry --tls-c" --tls-cert --tls-ca
