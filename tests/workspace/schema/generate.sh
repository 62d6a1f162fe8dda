#!/bin/sh
# Makes of @slack/types a JSON Schema, slack-types.json, and the limits that its comments put in
# words, slack-types-limits.json. Needs npm, jq and python3; works in a temporary folder.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @slack/types@3.2.0 ts-json-schema-generator@2.4.0
cat >root.ts <<'TS'
import type { HomeView, KnownBlock, ModalView } from "@slack/types";
export type Root = { blocks?: KnownBlock[]; view?: HomeView | ModalView };
TS
npx ts-json-schema-generator --no-type-check --path root.ts --type Root -o full.json
jq -c 'walk(if type == "object" and (.description | type) == "string"
       then del(.description) else . end)' full.json >"$here/slack-types.json"
python3 "$here/limits.py" <full.json >"$here/slack-types-limits.json"
