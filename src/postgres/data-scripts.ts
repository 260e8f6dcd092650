// The shell scripts that run in the children of a data directory. Their arguments come as $1, $2 ...; each says in its exit
// code whether it did all of it.

/**
 * It stays outside the directory: a look that hangs must not be counted among the processes that live in there. Storage that
 * is lost has another error than a file that is not there, and must not be taken for an empty place.
 */
export const LOOK = `
say() { echo "$1"; exit 0; }
d=$1
[ -e "$d" ] || case $(ls -d "$d/." 2>&1) in *"No such file"*) say absent;; *) say unreadable;; esac
[ -d "$d" ] && [ -r "$d" ] && [ -x "$d" ] && [ -O "$d" ] && real=$(cd "$d" 2>/dev/null && pwd -P) || say unreadable
if [ -e "$real.rewinding" ] && [ -f "$d/PG_VERSION" ]; then echo unfinished
elif [ -f "$d/PG_VERSION" ] && [ -f "$d/global/pg_control" ]; then echo initialized
elif [ -f "$d/PG_VERSION" ] || [ -f "$d/backup_label" ] || [ -d "$d/base" ]; then echo unfinished
elif ls -A "$d" | grep -v -x -e 'lost+found' | grep -q -v '^[.]'; then echo foreign
else echo empty; fi
v=; [ -r "$d/PG_VERSION" ] && read -r v < "$d/PG_VERSION"
echo "$v"
if [ -f "$d/standby.signal" ] || [ -f "$d/recovery.conf" ]; then echo standby; else echo; fi
echo "$real"
[ -e "$d/postmaster.pid" ] && cat "$d/postmaster.pid" 2>/dev/null
exit 0`

export const WRITE = `
cd "$1" || exit 1
case "$(stat -c %a .)" in *50) umask 027;; *) umask 077;; esac
cat > "$2.pgherd" || { rm -f "$2.pgherd"; exit 1; }
if cmp -s "$2.pgherd" "$2"; then rm -f "$2.pgherd"; exit 0; fi
sync "$2.pgherd" && mv -f "$2.pgherd" "$2" && sync .`

/** A copy under another name first: the file itself stays where it is until it is replaced. */
export const KEEP_ORIGINAL = `
cd "$1" || exit 1
[ -e "$3" ] || [ ! -e "$2" ] && exit 0
cp -p "$2" "$3.pgherd" && sync "$3.pgherd" && mv -f "$3.pgherd" "$3" && sync .`

/**
 * Each file that $1 lacks comes from $2: the copy that was kept there, else what initdb or a clone put there. The first name
 * is the main file's, the second its base file's, which is made of a main file that is there.
 */
export const FILL = `
to=$1; from=$2; shift 2; main=$1; base=$2
mkdir -p -m 700 "$to" && cd "$to" || exit 1
for name in "$base" "$@"; do
  [ ! -e "$name" ] || continue
  [ "$name" != "$base" ] || [ ! -e "$main" ] || continue
  for source in "$from/$name.backup" "$from/$name"; do
    [ -e "$source" ] || continue
    cp -p "$source" "$name.pgherd" && sync "$name.pgherd" && mv -f "$name.pgherd" "$name" || exit 1
    break
  done
done
sync .`

export const KEEP_COPIES = `
from=$1; to=$2; shift 2
cd "$to" || exit 1
for name; do
  [ -e "$from/$name" ] || continue
  cmp -s "$from/$name" "$name.backup" && continue
  cp -p "$from/$name" "$name.backup.pgherd" && mv -f "$name.backup.pgherd" "$name.backup" || exit 1
done`

export const UNARCHIVED = `
cd "$1/pg_wal/archive_status" || exit 1
for f in *.ready; do [ ! -e "$f" ] || basename "$f" .ready; done`

/** PostgreSQL removes what ends in .tmp when it starts. */
export const PLACE_SLOT = `
cd "$1/pg_replslot" || exit 1
[ ! -e "$2" ] || exit 0
umask 077
rm -rf "$2.tmp" && mkdir "$2.tmp" && base64 -d > "$2.tmp/state" || exit 1
sync "$2.tmp/state" "$2.tmp" && mv -T "$2.tmp" "$2" && sync .`

/** The timeline does not matter: a file of any will keep the place. */
export const OLDEST_WAL = `
cd "$1/pg_wal" || exit 1
ls | grep -x '[0-9A-F]\\{24\\}' | cut -c 9- | sort | head -n 1`

/** Each of the directories outside to which the data directory $real leads: tablespaces, and WAL on a disk of its own. */
const OUTSIDE = `
outside() {
  for link in "$real"/pg_tblspc/* "$real/pg_wal"; do
    [ -L "$link" ] && place=$(readlink -e "$link") && [ -d "$place" ] || continue
    case $place in "$real"/*) ;; *) "$1" || exit 1;; esac
  done
}`

/** What is outside goes aside too, and the old directory leads there: a new one may want the same places, empty. */
export const MOVE_ASIDE = `${OUTSIDE}
free() { to=$1.failed; n=1; while [ -e "$to" ] || [ -L "$to" ]; do n=$((n + 1)); to=$1.failed$n; done; }
aside() {
  free "$place"; mode=$(stat -c %a "$place")
  mv -T "$place" "$to" && ln -sfn "$to" "$link" && mkdir -m "$mode" "$place"
}
[ -e "$1" ] || exit 3
real=$(readlink -f "$1") || exit 1
outside aside
free "$real"
mv -T "$real" "$to" && mkdir -m 700 "$real" && rm -f "$real.rewinding" && echo "$to"`

/**
 * Without its control file no directory is taken for a cluster, and while it has its version it counts as unfinished: the one
 * goes first, the other last. A tablespace's place may hold another major's files beside ours: those stay. What leads outside
 * goes after what is there.
 */
export const DISCARD = `${OUTSIDE}
clear() {
  case $link in
  */pg_wal) find "$place" -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf -- {} +;;
  *) [ -z "$version" ] || rm -rf -- "$place/PG_$version"_*;;
  esac
}
[ -d "$1" ] || exit 0
real=$(readlink -f "$1") || exit 1
version=; [ -r "$real/PG_VERSION" ] && read -r version < "$real/PG_VERSION"
if [ -e "$real/global/pg_control" ]; then rm -f -- "$real/global/pg_control" && sync "$real/global" || exit 1; fi
outside clear
find "$real" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec rm -rf -- {} + && rm -rf -- "$real/PG_VERSION"`

/** Of these directories those that are empty or not there yet. */
export const EMPTY_PLACES = `
for place; do
  case $place in /*) ;; *) continue;; esac
  if [ ! -e "$place" ] || { [ -d "$place" ] && [ -z "$(ls -A "$place")" ]; }; then echo "$place"; fi
done`

export const CLEAR_PLACES = `
for place; do
  [ ! -d "$place" ] || find "$place" -mindepth 1 -maxdepth 1 -exec rm -rf -- {} + || exit 1
done`

/** A new file each time: the blocks of an old one can be written on a full disk, too. WAL may have a disk of its own. */
export const TRY_WRITE = `
umask 077
for d in "$1" "$1/pg_wal"; do
  [ "$d" = "$1" ] || [ -L "$d" ] || continue
  f=$d/pgherd.probe
  if ! { rm -f "$f" && head -c 8192 /dev/zero > "$f" && sync "$f"; }; then rm -f "$f"; exit 1; fi
  rm -f "$f"
done`

/** Beside the directory, because pg_rewind removes what the other side does not have. */
export const MARK_REWIND = 'mark="$(readlink -f "$1").rewinding" && : > "$mark" && sync "$mark"'
export const UNMARK_REWIND = 'rm -f "$(readlink -f "$1").rewinding"'
