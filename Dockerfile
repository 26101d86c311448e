# syntax=docker/dockerfile:1
#
# sd-worker alone, for a pod whose WebUI runs beside it:
#
#     docker build -t sd-worker .
#
# To put it into an image that has a WebUI, copy the program there. The WebUI has to listen on port 3000 with --api;
# the worker waits for it, and says on its log what it waits for.
#
#     FROM sd-worker AS worker
#     FROM your/image-with-a1111
#     COPY --from=worker /usr/local/bin/sd-worker /usr/local/bin/sd-worker
#     # `exec` makes the worker process 1 of the container, so that it gets SIGTERM and can finish its job.
#     CMD ["sh", "-c", "python webui.py --api --nowebui --port 3000 & exec sd-worker"]
#
# The program is built against glibc 2.36, so that image needs this or a later one (Debian 12, Ubuntu 24.04), and the
# package ca-certificates.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# The caches keep downloaded crates and earlier builds; they do not become part of the image, so the program is
# copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/usr/local/cargo/git \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release --package sd-worker \
    && install -D target/release/sd-worker /out/sd-worker

FROM debian:bookworm-slim
# RunPod is reached over HTTPS, and the worker trusts the system's certificates.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/sd-worker /usr/local/bin/sd-worker
# No shell in between: the worker itself gets SIGTERM, finishes its job and exits.
ENTRYPOINT ["/usr/local/bin/sd-worker"]
