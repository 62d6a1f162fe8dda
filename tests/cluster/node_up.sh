#!/usr/bin/env bash
# Starts a cluster whose one node runs pods in containers, the trainer's image among them, and prints
# the path of an administrator's kubeconfig. Debian, as root; Python here must be as in the image.
#   CLUSTER_SCRIPTS  the folder that has up.sh (NODE=real), mkimage.py and their companions
#   NODE_IMAGES      where the images are kept, about 2 GB
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-$repository/.venv/bin/python}
scripts=${CLUSTER_SCRIPTS:?the folder of up.sh}
images=${NODE_IMAGES:-${XDG_CACHE_HOME:-$HOME/.cache}/katib-tune/node-images}
trainer=localhost/katib-tune-trainer:test
mkdir -p "$images"
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT

# The Dockerfile's trainer steps on a plain Debian: install '.[trainer]', a user, no root.
if [ ! -s "$images/trainer.tar" ]; then
  root=$work/root
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  debootstrap --variant=minbase --include=python3,ca-certificates "$suite" "$root" >&2
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  "$python" -m pip install --quiet --no-compile -c "$repository/.ci/constraints.txt" --target "$root/opt/site" "$repository[trainer]" >&2
  ln -s python3 "$root/usr/bin/python"
  # pip's own script names the Python that ran pip, which is not in the image.
  printf '#!/usr/bin/python3\nfrom torch.distributed.run import main\nmain()\n' > "$root/usr/local/bin/torchrun"
  chmod 755 "$root/usr/local/bin/torchrun"
  echo 'katib:x:10001:10001::/home/katib:/bin/sh' >> "$root/etc/passwd"
  install -d -m 777 "$root/home/katib"
  # What the test's trial trains: no network and no volume are needed for it.
  model=$(cd "$repository" && "$python" -c 'from tests.cluster import smollm; print(smollm.folder(4))' | tail -1)
  cp -r "$model" "$root/opt/model"
  chmod -R a+rX "$root/opt"
  "$python" "$scripts/mkimage.py" "$root" "$trainer" "$images/trainer.tar" --env PYTHONPATH=/opt/site --env HOME=/home/katib
  rm -rf "$root"
fi
# What a PyTorchJob's Workers wait with until the Master has a name.
if [ ! -s "$images/alpine.tar" ]; then
  mkdir -p "$work"/box/{bin,etc,tmp}
  for name in dash getent sleep seq; do
    program=$(command -v "$name")
    cp "$program" "$work/box/bin/"
    ldd "$program" | grep -o '/[^ ]*' | while read -r library; do cp -n --parents -L "$library" "$work/box/"; done
  done
  ln -s dash "$work/box/bin/sh"
  # busybox's own nslookup wants every search domain to know the name, Alpine 3.10's one of them.
  printf '#!/bin/sh\ngetent hosts "$1"\n' > "$work/box/bin/nslookup"
  chmod 755 "$work/box/bin/nslookup"
  "$python" "$scripts/mkimage.py" "$work/box" docker.io/library/alpine:3.10 "$images/alpine.tar" --cmd '["sh"]'
fi
# containerd makes every container's / with the umask that it was started with, and up.sh has 077:
# a user who is not root could not enter.
mkdir -p "$images/bin"
printf '#!/bin/sh\numask 022\nexec %s "$@"\n' "$(PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin command -v containerd)" > "$images/bin/containerd"
chmod 755 "$images/bin/containerd"
PATH=$images/bin:$PATH IMAGES="$images/trainer.tar $images/alpine.tar" NODE=real "$scripts/up.sh"
