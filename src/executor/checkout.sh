# Brings a repository's commit into the workspace. Run by `sh -e` as the first step of a run; all it is told
# stands in variables, so that nothing is read as an option or as shell. Needs git and flock.
set -eu
: "${SLIPWAY_CHECKOUT_REPOSITORY:?}" "${SLIPWAY_CHECKOUT_MIRROR:?}"
: "${SLIPWAY_CHECKOUT_WORKSPACE:?}" "${SLIPWAY_CHECKOUT_RESULT:?}"
repository=$SLIPWAY_CHECKOUT_REPOSITORY
mirror=$SLIPWAY_CHECKOUT_MIRROR
workspace=$SLIPWAY_CHECKOUT_WORKSPACE
branch=${SLIPWAY_CHECKOUT_BRANCH:-}
wanted=${SLIPWAY_CHECKOUT_COMMIT:-}

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

for program in git flock; do
    command -v "$program" >/dev/null || fail "$program is not installed on this machine, and a checkout needs it"
done
case $repository in -*) fail "the repository's address must not begin with -" ;; esac
rm -f -- "$SLIPWAY_CHECKOUT_RESULT"
mkdir -p -- "$mirror" "$workspace"

# One checkout of a repository at a time may change its mirror. The descriptor is closed for every program
# that is started, so that the lock ends with this script whatever outlives it.
exec 9>"$mirror.lock"
flock -n 9 || {
    printf 'Waiting for another checkout of %s\n' "$repository"
    flock 9
}

# Git refuses repositories that belong to another user, and the program that reads the other side of a local
# one heeds only the user's own settings: so these are given with one addition.
case $repository in /* | file://*)
    {
        printf '[safe]\n\tdirectory = *\n'
        if [ -n "${GIT_CONFIG_GLOBAL:-}" ]; then
            printf '[include]\n\tpath = "%s"\n' "$GIT_CONFIG_GLOBAL"
        elif [ -n "${HOME:-}" ]; then
            printf '[include]\n\tpath = ~/.config/git/config\n\tpath = ~/.gitconfig\n'
        fi
    } >"$mirror.gitconfig.new"
    mv -f -- "$mirror.gitconfig.new" "$mirror.gitconfig"
    GIT_CONFIG_GLOBAL=$mirror.gitconfig
    export GIT_CONFIG_GLOBAL
    ;;
esac

if [ -z "${GIT_SSH_COMMAND:-}" ] && ! git config --get core.sshCommand >/dev/null 9>&-; then
    GIT_SSH_COMMAND='ssh -oBatchMode=yes -oConnectTimeout=30 -oServerAliveInterval=15 -oServerAliveCountMax=4'
    export GIT_SSH_COMMAND
fi

unreachable() {
    fail "git cannot read $repository: see above. Where it asks for a password, give the user that runs the worker a credential helper of git's or a key"
}

# What a git that was killed left behind would stop the next one for ever; the lock says that none is running.
find "$mirror" -name '*.lock' -exec rm -f -- {} + 9>&-
find "$mirror" -name 'tmp_*' -type f -exec rm -f -- {} + 9>&-
git init --quiet --bare --template= -- "$mirror" 9>&-

if [ -z "$branch" ]; then
    head=$(git ls-remote --quiet --symref -- "$repository" HEAD 9>&-) || unreachable
    branch=$(printf '%s\n' "$head" | sed -n 's|^ref: refs/heads/\([^[:space:]]*\)[[:space:]].*|\1|p' | head -n 1)
    [ -n "$branch" ] || fail "$repository has no default branch: name the branch"
fi
git check-ref-format "refs/heads/$branch" 9>&- || fail "“$branch” is not the name of a branch"

printf 'Fetching %s\n' "$repository"
git --git-dir="$mirror" fetch --quiet --prune --no-tags --force --no-write-fetch-head --no-recurse-submodules \
    -- "$repository" '+refs/heads/*:refs/heads/*' '+refs/tags/*:refs/tags/*' 9>&- || unreachable

# Each fetch that brings something adds a pack. Nothing is ever thrown away: workspaces borrow the objects.
packs=$(find "$mirror/objects/pack" -name '*.pack' 9>&- | wc -l)
if [ "$packs" -gt 50 ]; then
    git --git-dir="$mirror" repack --quiet -a -d --keep-unreachable 9>&-
fi

commit_of() {
    git --git-dir="$mirror" rev-parse --verify --quiet --end-of-options "$1^{commit}" 9>&-
}
if commit=$(commit_of "refs/heads/$branch"); then
    is_branch=yes
elif commit=$(commit_of "refs/tags/$branch"); then
    is_branch=no
else
    fail "branch $branch does not exist in $repository"
fi

# A run that begins again builds what it built before, wherever the branch stands now.
if [ -n "$wanted" ]; then
    commit=$(commit_of "$wanted") || fail "commit $wanted is no longer in $repository: trigger a new run"
fi

# The directory itself stays, since this script stands in it. What a run has made read-only goes as well.
cd -- "$workspace"
find . ! -name . -prune -exec rm -rf -- {} + 2>/dev/null 9>&- || {
    find . -type d ! -perm -u+rwx -exec chmod u+rwx -- {} + 9>&- || :
    find . ! -name . -prune -exec rm -rf -- {} + 9>&-
}
git clone --quiet --shared --no-checkout --template= --origin origin --branch="$branch" -- "$mirror" . 9>&-
exec 9>&-

git config remote.origin.url "$repository"
if [ "$is_branch" = yes ]; then
    git checkout --quiet --force -B "$branch" "$commit" --
else
    git checkout --quiet --force --detach "$commit" --
fi

if [ -f .gitmodules ]; then
    # A repository from elsewhere must not name files of this machine as its parts.
    case $repository in
    /* | file://*) ;;
    *) GIT_ALLOW_PROTOCOL=git:http:https:ssh ;;
    esac
    export GIT_ALLOW_PROTOCOL
    printf 'Fetching submodules\n'
    git submodule --quiet update --init --recursive
fi

printf '%s\n%s\n' "$commit" "$branch" >"$SLIPWAY_CHECKOUT_RESULT.new"
mv -f -- "$SLIPWAY_CHECKOUT_RESULT.new" "$SLIPWAY_CHECKOUT_RESULT"
printf 'Checked out %s at %s\n' "$branch" "$(git log -1 --no-show-signature --format='%h %s')"
