#!/usr/bin/env bash
# Walks through the running example with curl and says what it sees; ends with 1 at the first step that goes wrong.
#
#   npm start                                  # in one terminal
#   example-app/walk.sh                        # in another
#   example-app/walk.sh http://localhost:4000  # for another port
set -euo pipefail

url=${1:-http://localhost:${PORT:-3000}}
photo=$(dirname "$0")/sample-photo.jpg
visit=$(date +%s)-$$

say() { printf '\n%s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
# A crash between two steps must not leave the mail server off.
trap 'post /mail-server "{\"up\":true}" >/dev/null || true' EXIT

get() { curl --silent --show-error --max-time 10 --header 'Accept: application/json' "$url$1"; }
post() { curl --silent --show-error --max-time 10 --header 'Content-Type: application/json' --data "$2" "$url$1"; }

# field NAME: the value of a field in one line of JSON on standard input.
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" | head -n 1; }

# await_state PATH WANTED SECONDS: asks four times a second until the state is there.
await_state() {
  local state='' tries=$(($3 * 4))
  for ((i = 0; i < tries; i++)); do
    state=$(get "$1" | field state)
    [ "$state" = "$2" ] && { echo "$1 is $2"; return; }
    # Settled is final: waiting longer would not help.
    case $state in completed | failed | cancelled | expired) break ;; esac
    sleep 0.25
  done
  get "$1" >&2
  fail "$1 is '$state', not '$2'"
}

# sign_up EMAIL: answers the id of the job.
sign_up() {
  local answer job
  answer=$(post /signup "{\"name\":\"Asha\",\"email\":\"$1\",\"password\":\"correct horse\"}")
  echo "$answer" >&2
  job=$(echo "$answer" | field job)
  [ -n "$job" ] || fail 'the sign-up was not accepted'
  echo "$job"
}

# mail_to EMAIL: the mail as one line of JSON, or nothing.
mail_to() { get /inbox | sed 's/},{/}\n{/g' | grep --fixed-strings "\"to\":\"$1\"" || true; }

expect_status() {
  local wanted=$1
  shift
  local got
  got=$(curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' "$@")
  [ "$got" = "$wanted" ] || fail "expected status $wanted, got $got: ${*: -1}"
}

[ "$(get /healthz)" = '{"ok":true}' ] || fail "no example at $url; start it with: npm start"
post /mail-server '{"up":true}' >/dev/null

say '1. Sign up: answered at once, the mail comes from a job'
email="asha-$visit@example.com"
job=$(sign_up "$email")
await_state "/jobs/$job" completed 20
mail=$(mail_to "$email")
[ -n "$mail" ] || fail "no mail to $email"
code=$(echo "$mail" | sed -n 's/.*\/verify\/\([A-Za-z0-9_-]*\).*/\1/p')
[ "$(get "/verify/$code")" = '{"verified":true}' ] || fail "the link /verify/$code does not verify"
echo "$email is verified"
verified=$email

say '2. Refused: bad input, an address that is taken'
expect_status 400 --header 'Content-Type: application/json' --data '{"name":"","email":"x"}' "$url/signup"
expect_status 409 --header 'Content-Type: application/json' \
  --data "{\"name\":\"Asha\",\"email\":\"$email\",\"password\":\"correct horse\"}" "$url/signup"
echo 'status 400 and 409'

say '3. The mail server is down: the job is retried, and delivers once it is up'
[ "$(post /mail-server '{"up":false}')" = '{"up":false}' ] || fail 'the mail server did not stop'
email="late-$visit@example.com"
job=$(sign_up "$email")
await_state "/jobs/$job" retrying 20
[ -z "$(mail_to "$email")" ] || fail 'a mail came through a mail server that is down'
[ "$(post /mail-server '{"up":true}')" = '{"up":true}' ] || fail 'the mail server did not start'
await_state "/jobs/$job" completed 20
[ -n "$(mail_to "$email")" ] || fail "no mail to $email"
echo "the mail to $email arrived"

say '4. A mailbox that does not exist: fails at once, without a retry'
job=$(sign_up "nobody-$visit@example.invalid")
await_state "/jobs/$job" failed 20

say '5. A photo: three thumbnails'
answer=$(curl --silent --show-error --max-time 30 --form "photo=@$photo" "$url/photos")
echo "$answer"
id=$(echo "$answer" | field photo)
[ -n "$id" ] || fail 'the photo was not accepted'
await_state "/photos/$id" completed 30
for size in small medium large; do
  kind=$(curl --silent --max-time 10 --output /dev/null --write-out '%{http_code} %{content_type}' "$url/photos/$id/$size")
  [ "$kind" = '200 image/webp' ] || fail "the size $size is '$kind'"
done
get "/photos/$id"

say '6. A file that is no photo: fails at once, without a retry'
id=$(curl --silent --show-error --max-time 30 --form "photo=@$0;filename=walk.jpg" "$url/photos" | field photo)
await_state "/photos/$id" failed 30
get "/photos/$id"

say '7. Delete the account: a batch of small deletions, the user at the end'
cookie=$(curl --silent --max-time 10 --output /dev/null --dump-header - --header 'Accept: application/json' \
  "$url/verify/$code" | sed -n 's/^[Ss]et-[Cc]ookie: \([^;]*\).*/\1/p')
answer=$(curl --silent --show-error --max-time 10 --request DELETE --header "Cookie: $cookie" "$url/account")
echo "$answer"
job=$(echo "$answer" | field job)
[ -n "$job" ] || fail 'the deletion was not accepted'
await_state "/jobs/$job" completed 20
[ -z "$(mail_to "$verified")" ] || fail "a mail to $verified is still there"
expect_status 401 --request DELETE --header "Cookie: $cookie" "$url/account"

say 'All steps went well.'
