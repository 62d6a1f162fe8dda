# Two targets: `bot` (no torch; Slack and the cluster) and `trainer` (CUDA; one trial).
#   docker build --target bot -t katib-tune-bot:0.1.0 .
#   docker build --target trainer -t katib-tune-trainer:0.1.0 .

FROM python:3.12-slim AS bot
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY trainer trainer
COPY manifests/slack-app.yaml manifests/slack-app.yaml
RUN pip install .
RUN useradd --uid 10001 --create-home katib
USER 10001
ENTRYPOINT ["katib-tune"]
CMD ["serve"]

# PyTorch with CUDA is in the base image; pip leaves it alone because it satisfies torch>=2.6.
FROM pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime AS trainer
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY trainer trainer
COPY manifests/slack-app.yaml manifests/slack-app.yaml
RUN pip install '.[trainer]'
RUN useradd --uid 10001 --create-home katib
USER 10001
ENTRYPOINT ["python", "-m", "trainer"]
