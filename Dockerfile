# Two targets: `bot` (no torch; Slack and the cluster) and `trainer` (CUDA; one trial).
#   docker build --target bot -t katib-tune-bot:0.1.0 .
#   docker build --target trainer -t katib-tune-trainer:0.1.0 .
# The same base for every build: --build-arg BOT_BASE=python@sha256:…
ARG BOT_BASE=python:3.12-slim
ARG TRAINER_BASE=pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime

FROM ${BOT_BASE} AS bot
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
ENV KATIB_TUNE_ENGINE=katib
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY .ci/constraints.txt .ci/constraints.txt
COPY bot bot
COPY trainer trainer
COPY manifests/slack-app.yaml manifests/slack-app.yaml
RUN pip install -c .ci/constraints.txt .
RUN groupadd --gid 10001 katib && useradd --uid 10001 --gid 10001 --create-home katib
WORKDIR /home/katib
USER 10001:10001
ENTRYPOINT ["katib-tune"]
CMD ["serve"]

# PyTorch with CUDA is in the base image; pip leaves it alone because it satisfies torch>=2.6.
FROM ${TRAINER_BASE} AS trainer
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# From 2.10 on, Python is Debian's in these images, and pip keeps out of it unless told.
ENV PIP_BREAK_SYSTEM_PACKAGES=1
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY .ci/constraints.txt .ci/constraints.txt
COPY bot bot
COPY trainer trainer
COPY manifests/slack-app.yaml manifests/slack-app.yaml
RUN grep -v '^torch==' .ci/constraints.txt >constraints.txt && pip install -c constraints.txt '.[trainer,push]'
RUN groupadd --gid 10001 katib && useradd --uid 10001 --gid 10001 --create-home katib
WORKDIR /home/katib
USER 10001:10001
ENTRYPOINT ["python", "-m", "trainer"]
