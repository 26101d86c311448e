# The worker: Debian 11, for its old glibc. For a private repository: --secret id=netrc,src=FILE, with a line
# "machine HOST login USER password TOKEN" in FILE.
FROM rust:1.95.0-bullseye AS worker
ARG SD_WORKER_REPOSITORY={{git}} SD_WORKER_TAG=v{{version}}
# The git program reads the secret; cargo's own does not.
ENV CARGO_NET_GIT_FETCH_WITH_CLI=true
RUN --mount=type=secret,id=netrc,target=/root/.netrc \
    cargo install --locked --root /usr/local --git "${SD_WORKER_REPOSITORY}" --tag "${SD_WORKER_TAG}" sd-worker
