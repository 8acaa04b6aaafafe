/* The pool of smmap_typed as a model for SPIN: every interleaving of a few threads on a few windows.
 *
 * Read it beside src/smmap_typed/_pool. Names are those of the code, and docs/formal.md has a table of both. Each inline
 * is a method, and says of which class.
 *
 * A statement, or an atomic block, is one step; other threads may run between two steps. An operation without the lock
 * is a step of its own: one operation on one set, deque, dict or reference. A section has a step wherever it reads or
 * writes what other threads read or write without the lock: Frame.pins, Frame.mapping, Frame.live_end, File.windows,
 * File.descriptor, Tables.released, Tables.finished, Tables.closed, and the exports of a map. What only a holder of the
 * lock touches is put into one step with its neighbours (Lipton, "Reduction", 1975).
 *
 * Configuration, by -D: NT threads, of which the first MOVERS have a cursor and the last one collects; NW windows of
 * NFILES files; LIMIT handles; OPS operations for each cursor, OPS0 for the first one; and the operations themselves,
 * below. formal/configurations.py has those that are run.
 */

#ifndef NT
#define NT 2
#endif
#ifndef MOVERS
#define MOVERS NT
#endif
#ifndef NW
#define NW 2
#endif
#ifndef NFILES
#define NFILES 1
#endif
#ifndef LIMIT
#define LIMIT 1                     /* max_open_handles */
#endif
#ifndef OPS
#define OPS 2
#endif
#ifndef OPS0
#define OPS0 OPS
#endif
#ifndef COLLECTS
#define COLLECTS 1
#endif
#ifndef CLOSES
#define CLOSES 0                    /* whether the last thread closes the manager */
#endif
#ifndef NS
#define NS 6                        /* frames at once, those that are only remembered included */
#endif
#ifndef NR
#define NR 8                        /* room in Tables.released */
#endif
#define NF (2 * NT)                 /* loads and unloads: one of each for each thread */
#define NFIN (2 * NF)
#define ND (NFILES + 2 * NT)        /* descriptors at once */

#define BIT(x) (1 << (x))
#define HAS(set, x) (((set) >> (x)) & 1)
#define ADD(set, x) set = set | BIT(x)
#define REMOVE(set, x) set = set & ~BIT(x)
#define FILE(w) ((w) % NFILES)

mtype = { DONE, BEGUN, WAITS, NO_ROOM, LIMIT_ERROR, MANAGER_CLOSED, FAILED };

/* ---- Ledger ---- */
byte total_handles;
byte handles;                       /* maps - unmaps */
byte kept;
byte kernel;                        /* maps that really are open: the judge */

/* ---- Frame, by a number that is free again when nobody refers to the frame ---- */
byte used;                          /* the numbers that are taken */
byte f_window[NS];
byte f_pins[NS];                    /* Frame.pins: those that are alive, as a set of pins, */
byte f_dead[NS];                    /* how many have died and are not drained, */
byte f_tombstone;                   /* and the frames that have the tombstone in it */
byte f_gone;                        /* the frames with live_end == -1 */
byte f_has_map;                     /* the frames whose mapping is not None */
byte f_open;                        /* the frames whose map is open */
byte f_exports[NS];                 /* memoryviews of the map */
byte f_referenced;                  /* the frames that were read without a pin since the policy looked */

/* ---- Pin: two for each thread, its placement's and the one that it is taking ---- */
byte exporting;                     /* pins whose memoryview has not been released */
byte safe;                          /* pins that have looked for the tombstone and found none */
byte copied;                        /* what Frame.is_pinned looks through: the pins of its copy that are still alive */
#ifdef WITHOUT_GIL
byte dying[2 * NT];                 /* frame + 1 of a pin that has died, and whose callback has not run */
#endif
#define PLACED (2 * me + t_pin[me])
#define FRESH  (2 * me + 1 - t_pin[me])

/* ---- InFlight ---- */
byte i_window[NF];
byte i_victim[NF];                  /* Unload.victim: frame + 1 */
byte i_mapping[NF];                 /* Load.mapping, Unload.mapping: frame + 1 */
byte i_successor[NF];               /* Unload.successor: load + 1 */
byte i_descriptor[NT];              /* Load.descriptor: descriptor + 1 */
byte i_serial;                      /* the loads whose serial is set */
byte i_reserved;                    /* the loads with reserved >= 0 */
byte i_done;
#define LOAD   me                   /* this thread's load */
#define UNLOAD (NT + me)            /* and its unload */
#define IS_UNLOAD(f) ((f) >= NT)

/* ---- Tables ---- */
byte windows[NW];                   /* File.windows: frame + 1 */
byte descriptor[NFILES];            /* File.descriptor: descriptor + 1; those that are not 0 are Tables.kept */
byte frames;
byte leftovers;
byte discarded;
byte in_flight[NW];                 /* load or unload + 1 */
byte lru[NS]; byte n_lru;           /* LRU._frames, in order */
byte released[NR]; byte n_released; /* 2 * frame + whether the pin is withdrawn */
byte finished[NFIN]; byte n_finished;
byte closing;                       /* descriptors */
bit closed;
bit all_discarded;                  /* the section of Pool.close has ended, and was not struck */
bit torn;
byte lock;                          /* the thread that has it + 1 */

/* ---- Descriptor ---- */
byte d_open;                        /* open descriptors */

/* ---- Threads ---- */
byte t_placement[NT];               /* CursorState.placement: frame + 1 */
byte t_pin[NT];                     /* which of its two pins is the placement's */
byte t_frame[NT];                   /* a local name of a frame: frame + 1 */
byte t_view[NT];                    /* a view of the user: frame + 1 */
byte t_map[NT];                     /* a local name of a map: frame + 1 */
byte t_maps[NT];                    /* a local list of maps */
byte t_list[NT];                    /* a local list of frames, or of leftovers */
byte t_refused[NT];                 /* the set of that name in _make_room */
byte t_descriptor[NT];              /* a local name of a descriptor: descriptor + 1 */
byte t_goal[NT];                    /* window + 1 to which it is moving */
byte t_wait[NT];                    /* the load or unload that it waits for + 1; 0 as soon as that is done */
byte making_room;                   /* threads in _make_room, */
byte was_full;                      /* and those of them that have seen an instant at which no room was to be had */
byte ended;
#ifdef FAILURES
byte failures = FAILURES;           /* how many system calls may fail */
#endif
#ifdef STRIKES
byte strikes = STRIKES;             /* how many exceptions of signal handlers there may be */
byte struck;                        /* the thread that is struck at its next step + 1 */
#endif

byte argument, argument2, argument3;           /* of a C function */
byte broken;                        /* the number of an invariant that does not hold */

/* ---- Traces of the code: EV is a step that the recorder reports, with thread, kind, window and result ----
 * Without TRACE it is nothing. With it, the model takes such a step only if it is the next one of the trace, so it
 * reaches the end of the trace only if the whole trace is one of its behaviours. EV comes first in its step, which would
 * not be one step if it stopped in the middle. */
#define K_MOVE 1
#define K_UNUSE 2
#define K_VIEW 3
#define K_UNVIEW 4
#define K_READ 5
#define K_COLLECT 6
#define K_DISCARD 7
#define K_CLOSE 8
#define K_RETURN 9                  /* 0 done, 1 limit error, 2 manager closed, 3 another error */
#define K_LOOK 10                   /* File.windows is looked into: is there a frame? */
#define K_MEMORYVIEW 11             /* a memoryview of the map is made: was it open? */
#define K_ADD 12                    /* a pin is added */
#define K_SEEN 13                   /* the tombstone is looked for: is it there? */
#define K_DIE 14                    /* a pin dies, and is released */
#define K_ENTER 15                  /* the lock is taken */
#define K_LEAVE 16                  /* the lock is given back: the tables as a number */
#define K_TOMBSTONE 17              /* the tombstone is set */
#define K_UNTOMBSTONE 18            /* and taken back */
#define K_COPY 19                   /* is_pinned copies the set */
#define K_EMPTY 20                  /* is_pinned is not asked, since the set has no pin */
#define K_OPEN 21                   /* a descriptor is opened */
#define K_MAP 22                    /* a map is made: did it work? */
#define K_UNMAP 23                  /* a map is closed: did it work, or is there a view? */
#define K_POST 24                   /* a load or unload is posted */
#define K_DESCRIPTOR 25             /* File.descriptor is looked at: is there one? */
#define K_PREAD 26                  /* bytes are read by a descriptor */
#define K_SLICE 27                  /* or copied from the map: was it open? */
#ifdef TRACE
int next_thread; int next_kind; int next_window; int next_result; int position; int code;
#define EV(k, w, r) (next_thread == me && next_kind == (k) && next_window == (w) && next_result == (r)); c_code { advance(); };
#define EV_LEAVE c_code { now.code = tables_as_a_number(); }; (next_thread == me && next_kind == K_LEAVE && next_result == code); code = 0; c_code { advance(); };
#define EV_COPY(s) EV((f_pins[s] || f_dead[s] -> K_COPY : K_EMPTY), f_window[s], 0)
#else
#define EV(k, w, r)
#define EV_LEAVE
#define EV_COPY(s)
#endif

c_code {
#define B_(x) (1 << (x))
#define IN(set, x) (((set) >> (x)) & 1)

/* What Python does by itself: what nobody refers to any more goes. A map without references is unmapped, a descriptor
 * without references is closed. */
static void do_sweep(void) {
  int x, t, numbers, objects, maps = 0, open = now.closing;
  objects = now.frames | now.discarded;
  for (t = 0; t < NT; t++) {
    if (now.t_placement[t]) objects |= B_(now.t_placement[t] - 1);
    if (now.t_frame[t]) objects |= B_(now.t_frame[t] - 1);
    objects |= now.t_list[t] & ~now.leftovers;
    maps |= now.t_maps[t];
    if (now.t_map[t]) maps |= B_(now.t_map[t] - 1);
    if (now.t_descriptor[t]) open |= B_(now.t_descriptor[t] - 1);
    if (now.i_descriptor[t]) open |= B_(now.i_descriptor[t] - 1);
  }
  for (x = 0; x < NF; x++) {
    if (now.i_victim[x]) objects |= B_(now.i_victim[x] - 1);
    if (now.i_mapping[x]) maps |= B_(now.i_mapping[x] - 1);
  }
  for (x = 0; x < NFILES; x++) if (now.descriptor[x]) open |= B_(now.descriptor[x] - 1);
  now.d_open &= open;
  numbers = objects | maps | now.leftovers;
  for (t = 0; t < NT; t++) { if (now.t_view[t]) numbers |= B_(now.t_view[t] - 1); numbers |= now.t_list[t]; }
  for (x = 0; x < now.n_released; x++) numbers |= B_(now.released[x] / 2);
#ifdef WITHOUT_GIL
  for (x = 0; x < 2 * NT; x++) if (now.dying[x]) numbers |= B_(now.dying[x] - 1);
#endif
  for (x = 0; x < NS; x++) {
    if (!IN(now.used, x)) continue;
    if (!IN(objects, x)) now.f_has_map &= ~B_(x);
    if (IN(now.f_open, x) && !IN(now.f_has_map | maps, x) && !now.f_exports[x]) { now.f_open &= ~B_(x); now.kernel--; }
    if (!IN(numbers, x) && !now.f_exports[x] && !now.f_pins[x]) {
      now.used &= ~B_(x); now.f_tombstone &= ~B_(x); now.f_gone &= ~B_(x); now.f_has_map &= ~B_(x); now.f_referenced &= ~B_(x);
      now.f_window[x] = now.f_dead[x] = 0;
      for (t = 0; t < NT; t++) now.t_refused[t] &= ~B_(x);
    }
  }
}

/* Is room to be had at this instant: a free handle, something idle, or a call under way that may give one? */
static void do_look_for_room(void) {
  int x, wanted = 0, room = now.total_handles < LIMIT;
  for (x = 0; x < NT; x++)          /* a thread that is just moving to a window may be there first */
    if (now.t_goal[x] && !IN(now.making_room, x) && now.windows[now.t_goal[x] - 1])
      wanted |= B_(now.windows[now.t_goal[x] - 1] - 1);
  for (x = 0; x < NS; x++)
    room |= IN(now.frames & ~wanted, x) && !IN(now.f_tombstone, x) && !now.f_pins[x] && !now.f_exports[x];
  for (x = 0; x < NW; x++)
    if (now.in_flight[x])
      room |= now.in_flight[x] - 1 >= NT || IN(now.i_reserved, now.in_flight[x] - 1);
  if (!room) now.was_full |= now.making_room;
}

static void do_forgotten(int s) {
  int x, y = 0;
  for (x = 0; x < now.n_lru; x++) if (now.lru[x] != s) now.lru[y++] = now.lru[x];
  for (x = y; x < now.n_lru; x++) now.lru[x] = 0;
  now.n_lru = y;
}

/* The end of LRU.victim: what is pinned leaves the order, and what was read comes last. Sets argument to the victim. */
static void do_pass_over(int found, int pinned, int read) {
  int x, y = 0, n = 0, last[NS];
  for (x = 0; x < now.n_lru; x++)
    if (IN(read, now.lru[x])) last[n++] = now.lru[x];
    else if (!IN(pinned, now.lru[x])) now.lru[y++] = now.lru[x];
  for (x = 0; x < n; x++) now.lru[y++] = last[x];
  for (x = y; x < now.n_lru; x++) now.lru[x] = 0;
  now.n_lru = y;
  now.f_referenced &= ~read;
  now.argument = found || !n ? found : last[0] + 1;
}

static void do_restored(int s) {
  int x;
  for (x = 0; x < now.n_lru; x++) if (now.lru[x] == s) return;
  now.lru[now.n_lru++] = s;
}

static void do_finish(int f) {
  int t;
  now.i_done |= B_(f);
#ifndef WAKES_NO_WAITER
  for (t = 0; t < NT; t++) if (now.t_wait[t] == f + 1) now.t_wait[t] = 0;
#endif
}

/* A load or unload that is over and in no queue is forgotten. */
static void do_forget(int f) {
  int x;
  for (x = 0; x < now.n_finished; x++) if (now.finished[x] == f) return;
  now.i_window[f] = now.i_victim[f] = now.i_mapping[f] = now.i_successor[f] = 0;
  now.i_serial &= ~B_(f); now.i_reserved &= ~B_(f);
}

static void do_popleft_finished(void) {
  int x, f = now.finished[0];
  for (x = 1; x < now.n_finished; x++) now.finished[x - 1] = now.finished[x];
  now.finished[--now.n_finished] = 0;
  if (f >= NT) do_forget(f);
}

static void do_popleft_released(void) {
  int x;
  for (x = 1; x < now.n_released; x++) now.released[x - 1] = now.released[x];
  now.released[--now.n_released] = 0;
}

/* The dead leave the set of pins. In the code they stay in the queue, and the drain then finds them in no set. */
static void do_prune(int s) {
  int x, y = 0;
  now.f_dead[s] = 0;
#ifdef WITHOUT_GIL
  for (x = 0; x < 2 * NT; x++) if (now.dying[x] == s + 1) now.dying[x] = 0;
#endif
  for (x = 0; x < now.n_released; x++) if (now.released[x] / 2 != s) now.released[y++] = now.released[x];
  for (x = y; x < now.n_released; x++) now.released[x] = 0;
  now.n_released = y;
}

static void do_unlink(int s) {
#ifndef UNLINKS_FIRST
  if (now.windows[now.f_window[s]] == s + 1)
#endif
    now.windows[now.f_window[s]] = 0;
  now.frames &= ~B_(s);
  do_forgotten(s);
}

static void do_strike_out_leftovers(void) {
  int x;
  for (x = 0; x < NS; x++)
    if (IN(now.leftovers & ~now.f_open, x)) { now.leftovers &= ~B_(x); now.handles--; now.total_handles--; }
}

/* Tables.leave_to_views */
static void do_leave_to_views(int s) {
  if (IN(now.f_has_map, s)) now.leftovers |= B_(s);
  now.f_has_map &= ~B_(s);
  if (now.f_pins[s] || now.f_dead[s]) now.discarded |= B_(s);
}

/* Tables.repair, Ledger.balance */
static void do_repair(void) {
  int x, y, victims = 0, mapped = 0, reserved = 0;
  for (x = 0; x < NW; x++) if (now.in_flight[x] && IN(now.i_done, now.in_flight[x] - 1)) now.in_flight[x] = 0;
  for (x = 0; x < NW; x++)
    if (now.in_flight[x] && now.i_victim[now.in_flight[x] - 1]) victims |= B_(now.i_victim[now.in_flight[x] - 1] - 1);
  for (x = 0; x < NS; x++) {
    if (!IN(now.frames, x)) continue;
    do_prune(x);
    if (IN(victims, x)) continue;
    if (IN(now.f_gone, x)) {
#ifndef KEEPS_A_CLOSED_MAP_AS_A_LEFTOVER
      if (!IN(now.f_open, x)) now.f_has_map &= ~B_(x);
#endif
      if (IN(now.leftovers, x)) now.f_has_map &= ~B_(x);
      do_leave_to_views(x);
      now.frames &= ~B_(x);
      continue;
    }
    now.f_tombstone &= ~B_(x);
    if (!IN(now.f_open & now.f_has_map, x)) now.frames &= ~B_(x);
  }
#ifndef REMEMBERS_WHAT_WAS_DISCARDED
  for (x = 0; x < NS; x++) {
    if (!IN(now.discarded, x)) continue;
    do_prune(x);
    if (!now.f_pins[x]) now.discarded &= ~B_(x);
  }
#endif
  for (x = 0; x < NW; x++) if (now.windows[x] && !IN(now.frames, now.windows[x] - 1)) now.windows[x] = 0;
  for (x = 0; x < NS; x++) {
    mapped += IN(now.frames, x) + IN(now.leftovers, x);
    if (!IN(now.frames, x)) continue;
    now.windows[now.f_window[x]] = x + 1;
    if (!now.f_pins[x] && !now.f_dead[x] && !IN(now.f_tombstone, x)) do_restored(x);
  }
  for (x = 0; x < now.n_lru;) if (IN(now.frames, now.lru[x])) x++; else do_forgotten(now.lru[x]);
  for (x = 0; x < NW; x++)
    if (now.in_flight[x] && now.in_flight[x] - 1 < NT) {
#ifndef COUNTS_A_PUBLISHED_LOAD_TWICE
      if (now.windows[x]) {         /* an exception struck while it was being published: it is over */
        now.i_reserved &= ~B_(now.in_flight[x] - 1);
#if !defined(LEAVES_A_PUBLISHED_LOAD_IN_FLIGHT) && !defined(COUNTS_A_PUBLISHED_LOAD_TWICE)
        do_finish(now.in_flight[x] - 1);
        now.in_flight[x] = 0;
        continue;
#endif
      }
#endif
      reserved += IN(now.i_reserved, now.in_flight[x] - 1);
    }
  for (now.kept = y = 0; y < NFILES; y++) now.kept += now.descriptor[y] != 0;
  now.total_handles = mapped + reserved;
  now.handles = mapped;
  now.torn = 0;
}

#ifdef TRACE
static int length, farthest, trace[1 << 14][4];
static void show_farthest(void) { printf("trace: %d of %d events\n", farthest, length); }
static void look_at(int position) {
  now.position = position;
  if (position > farthest) farthest = position;
  if (position == length) { printf("trace: accepted, %d events\n", length); fflush(stdout); _exit(0); }
  now.next_thread = trace[position][0]; now.next_kind = trace[position][1];
  now.next_window = trace[position][2]; now.next_result = trace[position][3];
}
static void advance(void) { look_at(now.position + 1); }
static void load_trace(void) {
  FILE *file = fopen(getenv("TRACE"), "r");
  while (fscanf(file, "%d %d %d %d", &trace[length][0], &trace[length][1], &trace[length][2], &trace[length][3]) == 4)
    length++;
  fclose(file);
  atexit(show_farthest);
  look_at(0);
}
/* What is mapped, in flight and in the order of eviction, and the books. */
static int tables_as_a_number(void) {
  int x, n = now.closed;
  for (x = 0; x < NW; x++) n = n * 4 + (now.windows[x] ? 1 : 0) + (now.in_flight[x] ? 2 : 0);
  for (x = 0; x < 3; x++) n = n * 4 + (x < now.n_lru ? now.f_window[now.lru[x]] + 1 : 0);
  n = n * 4 + now.total_handles;
  n = n * 4 + now.handles;
  return n * 4 + now.kept;
}
#endif

static int is_in_lru(int s) { int x; for (x = 0; x < now.n_lru; x++) if (now.lru[x] == s) return 1; return 0; }

/* The invariants of docs/invariants.md, at an instant at which the lock is given back. */
static void do_check(void) {
  int x, y, n, mapped = 0, reserved = 0, in_kept = 0;
  if (now.torn) return;             /* the next thread to enter repairs */
  for (x = 0; x < NS; x++) {
    mapped += IN(now.frames, x) + IN(now.leftovers, x);
    for (n = y = 0; y < now.n_released; y++) n += now.released[y] / 2 == x;
#ifdef WITHOUT_GIL
    for (y = 0; y < 2 * NT; y++) n += now.dying[y] == x + 1;
#endif
    if (!IN(now.frames, x)) continue;
    if (n != now.f_dead[x]) now.broken = 6;
    if (now.windows[now.f_window[x]] != x + 1) now.broken = 4;
    if (!IN(now.f_open, x) && !now.in_flight[now.f_window[x]]) now.broken = 5;
    if (IN(now.f_tombstone, x) && !now.in_flight[now.f_window[x]]) now.broken = 5;
    if (!is_in_lru(x) && !now.f_pins[x] && !now.f_dead[x] && !IN(now.f_tombstone, x)) now.broken = 7;
  }
  for (x = 0; x < NW; x++) {
    if (now.windows[x] && !IN(now.frames, now.windows[x] - 1)) now.broken = 4;
    y = now.in_flight[x] - 1;
    if (y < 0) continue;
    if (y < NT && IN(now.i_reserved, y) && now.windows[x]) now.broken = 8;
    reserved += y < NT && IN(now.i_reserved, y);
  }
  for (x = 0; x < NFILES; x++) in_kept += now.descriptor[x] != 0;
  if (now.handles != mapped || now.total_handles != mapped + reserved || now.kept != in_kept) now.broken = 1;
  if (now.total_handles + now.kept > LIMIT) now.broken = 2;
  if (now.all_discarded) {
    if (now.kept) now.broken = 9;
    for (x = 0; x < NS; x++) if (IN(now.frames, x) && !now.in_flight[now.f_window[x]]) now.broken = 9;
  }
  for (x = 0; x < now.n_lru; x++) if (!IN(now.frames, now.lru[x])) now.broken = 7;
}
}

#define look_around() c_code { do_sweep(); do_look_for_room(); }
inline forgotten(s) { argument = s; c_code { do_forgotten(now.argument); now.argument = 0; } }
inline restored(s) { argument = s; c_code { do_restored(now.argument); now.argument = 0; } }
inline finish(f) { argument = f; c_code { do_finish(now.argument); now.argument = 0; } }
inline prune(s) { argument = s; c_code { do_prune(now.argument); now.argument = 0; } }
inline unlink(s) { argument = s; c_code { do_unlink(now.argument); now.argument = 0; } }
inline leave_to_views(s) { argument = s; c_code { do_leave_to_views(now.argument); now.argument = 0; } }
inline forget(f) { argument = f; c_code { do_forget(now.argument); now.argument = 0; } }

/* ---- An exception of a signal handler ----
 * With STRIKES it may come at each CALL, inside of a section, and at each STRIKE outside of one. CPython runs handlers
 * after a call, at a jump backwards and at the entry of a function, so a CALL stands where the code does one of these.
 * Between a CALL and its neighbours other threads need not run, if only a holder of the lock touches what is there. */
#ifdef STRIKES
#define CALL if :: true :: atomic { strikes > 0 && ended < NT -> strikes--; struck = me + 1 } fi;
#define STRIKE if :: true :: atomic { strikes > 0 && ended < NT -> strikes--; out = FAILED } fi;
#define UNLESS_STRUCK unless { atomic { struck == me + 1 -> struck = 0; out = FAILED; reset() } };
#else
#define CALL
#define STRIKE
#define UNLESS_STRUCK
#endif

/* What a section has in local names goes with it. */
inline reset() { got = 0; ok = 0; n = 0; i = 0; c = 0; s = 0; passed = 0; pinned = 0; were_read = 0; copied = 0; t_map[me] = 0; t_list[me] = 0; t_maps[me] = 0; c_code { do_sweep(); } }

/* ---- Pins ---- */
#ifndef WITHOUT_GIL
inline die(p, s_, withdrawn) {      /* the last reference to the memoryview goes: C all the way, so one step */
  atomic {
    EV(K_DIE, f_window[s_], 0)
    REMOVE(f_pins[s_], p); f_dead[s_]++; REMOVE(copied, p); REMOVE(safe, p);
    if :: HAS(exporting, p) -> f_exports[s_]--; REMOVE(exporting, p) :: else fi;
    assert(n_released < NR);
#ifdef LOSES_RELEASES
    if :: lock :: else -> released[n_released] = 2 * (s_) + withdrawn; n_released++ fi;
#else
    released[n_released] = 2 * (s_) + withdrawn; n_released++;
#endif
    look_around()
  }
}
#else
inline die(p, s_, withdrawn) {      /* without a GIL: the memoryview is dead, its export ends, its callback runs */
  atomic { REMOVE(f_pins[s_], p); f_dead[s_]++; REMOVE(copied, p); REMOVE(safe, p); dying[p] = (s_) + 1 };
  atomic { if :: HAS(exporting, p) -> f_exports[s_]--; REMOVE(exporting, p) :: else fi; look_around() };
  atomic {
    if
    :: dying[p] -> assert(n_released < NR); released[n_released] = 2 * (dying[p] - 1) + withdrawn; n_released++; dying[p] = 0
    :: else                         /* it was pruned meanwhile: the drain will find it in no set */
    fi;
    look_around()
  }
}
#endif

inline pin(s_) {                    /* Frame.pin: sets got; the pin is FRESH */
  got = 0;
  atomic { if :: HAS(f_has_map, s_) -> t_map[me] = (s_) + 1 :: else fi };        /* mapping = self.mapping */
  if
  :: t_map[me] ->
     atomic {                                                                    /* _make_view(mapping) */
       EV(K_MEMORYVIEW, f_window[s_], HAS(f_open, s_))
       if :: HAS(f_open, s_) -> f_exports[s_]++; ADD(exporting, FRESH) :: else fi;
       t_map[me] = 0; look_around()
     };
     if
     :: HAS(exporting, FRESH) ->
#ifdef LOOKS_BEFORE_IT_PINS
        got = !HAS(f_tombstone, s_);
#endif
        atomic { EV(K_ADD, f_window[s_], 0) ADD(f_pins[s_], FRESH); look_around() };        /* pins.add(pin) */
#if defined(LOOKS_BEFORE_IT_PINS) || defined(DOES_NOT_LOOK)
#ifdef DOES_NOT_LOOK
        got = 1;
#endif
        atomic { if :: got -> ADD(safe, FRESH) :: else fi };
#else
        atomic {                                                                 /* TOMBSTONE in pins */
          EV(K_SEEN, f_window[s_], HAS(f_tombstone, s_))
          got = !HAS(f_tombstone, s_);
          if :: got -> ADD(safe, FRESH) :: else fi;
          look_around()
        };
#endif
        if :: !got -> die(FRESH, s_, 1) :: else fi                               /* it is withdrawn */
     :: else
     fi
  :: else
  fi
}

/* Frame.is_pinned, where `frame.pins` or `len(pins)` is asked before. Sets ok to whether there is none alive. */
inline is_not_pinned(s_) {
  atomic { CALL EV_COPY(s_) copied = f_pins[s_] };
  atomic { ok = (copied == 0); copied = 0 }
}

/* ---- Descriptors ---- */
inline release_descriptor(f_) {     /* Tables.release_descriptor */
  atomic {
    torn = 1;
    CALL
    ADD(closing, descriptor[f_] - 1);
#ifdef CLOSES_WHAT_IS_USED
    REMOVE(d_open, descriptor[f_] - 1);
#endif
    descriptor[f_] = 0;
    CALL
    kept--; torn = 0; look_around();
    CALL
  }
}

inline release_oldest_descriptor() {                                             /* any: the order is left out, of two files */
  atomic { i = 0; do :: descriptor[i] -> break :: i < NFILES - 1 && (kept > 1 || !descriptor[i]) -> i++ od };
  release_descriptor(i);
  i = 0
}

inline keep_descriptor(f_, d_) {    /* Tables.keep_descriptor */
  atomic {
    if
    :: descriptor[f_] == 0 && !closed ->
       if :: kept && total_handles + kept >= LIMIT -> release_oldest_descriptor() :: else fi;
#ifdef KEEPS_WITHOUT_A_HANDLE
       if :: true ->
#else
       if :: total_handles + kept < LIMIT ->
#endif
          CALL
          torn = 1; descriptor[f_] = d_; kept++; torn = 0; look_around()
       :: else
       fi
    :: else
    fi
  }
}

inline open(name) {                 /* Pool._open: a descriptor that `name` refers to; sets out if it fails */
  if
  :: atomic {
       EV(K_OPEN, 0, 1)
       i = 0;
       do :: HAS(d_open, i) -> i++ :: else -> break od;
       assert(i < ND);
       ADD(d_open, i); name = i + 1; i = 0
     }
#ifdef FAILURES
  :: atomic { failures > 0 -> EV(K_OPEN, 0, 0) failures--; out = FAILED }
#endif
  fi
}

/* ---- Loads and unloads that are over ---- */
inline post(f_) { atomic { EV(K_POST, 0, 0) assert(n_finished < NFIN); finished[n_finished] = f_; n_finished++ } }

inline complete_load(f_) {          /* Tables._complete_load */
  atomic {
    torn = 1;
    CALL
    in_flight[i_window[f_]] = 0;
    CALL
    if
    :: HAS(i_reserved, f_) && (i_mapping[f_] == 0 || !HAS(f_open, i_mapping[f_] - 1)) -> total_handles--
    :: HAS(i_reserved, f_) && i_mapping[f_] && HAS(f_open, i_mapping[f_] - 1) -> ADD(leftovers, i_mapping[f_] - 1); handles++
    :: else
    fi;
    CALL
    REMOVE(i_reserved, f_);
    CALL
    torn = 0
  }
}

#ifdef UNLINKS_FIRST
#define IN_FRAMES(f) HAS(used, i_victim[f] - 1)
#define IS_REGISTERED(f) (in_flight[i_window[f]] == f + 1 || i_victim[f])
#else
#define IN_FRAMES(f) HAS(frames, i_victim[f] - 1)
#define IS_REGISTERED(f) (in_flight[i_window[f]] == f + 1)
#endif

inline complete_unload(f_) {        /* Tables._complete_unload */
  atomic { torn = 1; CALL if :: in_flight[i_window[f_]] == f_ + 1 -> in_flight[i_window[f_]] = 0 :: else fi };
#ifdef UNLINKS_FIRST
  if :: HAS(f_open, i_victim[f_] - 1) -> assert(windows[i_window[f_]] == 0); windows[i_window[f_]] = i_victim[f_] :: else fi;
#endif
  if
  :: !IN_FRAMES(f_)
  :: IN_FRAMES(f_) && HAS(f_open, i_victim[f_] - 1) ->
     if
     :: HAS(f_gone, i_victim[f_] - 1) -> atomic { leave_to_views(i_victim[f_] - 1); CALL unlink(i_victim[f_] - 1); look_around() }
     :: else ->
        atomic { EV(K_UNTOMBSTONE, f_window[i_victim[f_] - 1], 0) REMOVE(f_tombstone, i_victim[f_] - 1); look_around() };
        atomic {
          CALL
          if :: f_pins[i_victim[f_] - 1] == 0 && f_dead[i_victim[f_] - 1] == 0 -> restored(i_victim[f_] - 1) :: else fi
        }
     fi
  :: IN_FRAMES(f_) && !HAS(f_open, i_victim[f_] - 1) ->
#ifdef PASSES_NOTHING_ON
     i_successor[f_] = 0;
#endif
     atomic {
       if :: i_successor[f_] && !HAS(i_done, i_successor[f_] - 1) -> ADD(i_reserved, i_successor[f_] - 1) :: else -> i_successor[f_] = 0 fi;
       CALL
       prune(i_victim[f_] - 1)
     };
     atomic { CALL unlink(i_victim[f_] - 1) };
     atomic { CALL handles--; if :: i_successor[f_] == 0 -> total_handles-- :: else fi; CALL }
  fi;
  torn = 0
}

inline complete(f_) {               /* Tables.complete */
  if
  :: IS_REGISTERED(f_) && !IS_UNLOAD(f_) -> complete_load(f_)
  :: IS_REGISTERED(f_) && IS_UNLOAD(f_) -> complete_unload(f_)
  :: else
  fi;
  atomic { CALL finish(f_); look_around() }
}

/* ---- The lock ---- */
inline drain_release() {            /* one round of Tables._drain_releases, or _drain_unusual */
  atomic {
    CALL
    torn = 1;
    s = released[0] / 2;
    if
    :: HAS(frames, s) ->
       f_dead[s]--;
       if
       :: f_pins[s] == 0 && f_dead[s] == 0 && !HAS(f_tombstone, s) ->
          if :: released[0] % 2 == 0 -> forgotten(s) :: else fi;
          restored(s)
       :: else
       fi
    :: !HAS(frames, s) && HAS(discarded, s) ->
       f_dead[s]--;
       if :: f_pins[s] == 0 && f_dead[s] == 0 -> REMOVE(discarded, s) :: else fi
    :: else
    fi;
    s = 0; torn = 0;
    c_code { do_popleft_released(); do_sweep(); }
  }
}

inline drain() {                    /* Tables.drain */
#ifdef STRIKES
#ifndef DOES_NOT_REPAIR
  atomic { if :: torn -> c_code { do_repair(); do_sweep(); do_look_for_room(); } :: else fi };
#endif
#endif
  n = n_finished;
  do
  :: n > 0 -> complete(finished[0]); atomic { CALL c_code { do_popleft_finished(); do_sweep(); }; n-- }
  :: else -> break
  od;
  n = n_released;
  do
  :: n > 0 -> drain_release(); n--
  :: else -> break
  od;
#ifdef FORGETS_WHAT_IS_RELEASED
  do :: n_released -> c_code { do_popleft_released(); } :: else -> break od
#endif
}

/* Entry.locked: between the two words is a section. */
#ifdef ENTERS_WITHOUT_THE_LOCK
#define LOCKED EV(K_ENTER, 0, 0) { drain();
#else
#define LOCKED atomic { EV(K_ENTER, 0, 0) lock == 0 -> lock = me + 1 }; { drain();
#endif
#define UNLOCKED } UNLESS_STRUCK leave();

inline leave() {
  atomic {
    EV_LEAVE
    c_code { do_sweep(); do_check(); };
    assert(broken == 0);
#ifdef STRIKES
    if :: struck == me + 1 -> struck = 0 :: else fi;
#endif
    c_code { do_look_for_room(); };
    lock = 0
  };
  if :: closing -> atomic { closing = 0; c_code { do_sweep(); } } :: else fi      /* closing.clear() */
}

/* Entry.wait for what is in t_wait[me]. Without a strike it does not need its timeout. */
inline wait() {
  do
  :: t_wait[me] == 0 -> break
  :: t_wait[me] != 0 ->
     LOCKED skip; UNLOCKED                                                       /* flying.join */
#ifdef STRIKES                      /* after a tenth of a second it looks again */
     if :: true :: atomic { strikes > 0 -> strikes--; out = FAILED; t_wait[me] = 0; break } fi
#else
     atomic { t_wait[me] == 0 -> break }
#endif
  od
}

inline serve() {                    /* Entry.__exit__ */
  do
  :: n_finished -> LOCKED drain(); UNLOCKED
  :: else -> break
  od
}

/* ---- Unloads ---- */
inline victim() {                   /* LRU.victim, passing over `passed`: sets c to the frame + 1, or 0 */
  c = 0; i = 0; pinned = 0; were_read = 0;
  do
  :: i < n_lru && c == 0 ->
     if
     :: HAS(f_tombstone | passed, lru[i]) -> i++
     :: else ->
        is_not_pinned(lru[i]);
        atomic {
          if
          :: !ok -> ADD(pinned, lru[i]); i++
          :: ok && HAS(f_referenced, lru[i]) -> ADD(were_read, lru[i]); i++
          :: else -> c = lru[i] + 1
          fi;
          ok = 0
        }
     fi
  :: else -> break
  od;
  atomic {
    argument = pinned; argument2 = were_read; argument3 = c;
    c_code { do_pass_over(now.argument3, now.argument, now.argument2); };
    c = argument;
    i = 0; pinned = 0; were_read = 0; argument = 0; argument2 = 0; argument3 = 0
  }
}

inline set_tombstone() {            /* Tables._set_tombstone of the frame c - 1 by UNLOAD: sets ok */
#ifdef LOOKS_FOR_PINS_FIRST
  is_not_pinned(c - 1);
#endif
  atomic { EV(K_TOMBSTONE, f_window[c - 1], 0) torn = 1; ADD(f_tombstone, c - 1); look_around() };
#ifdef DOES_NOT_LOOK_FOR_PINS
  ok = 1;
#else
#ifndef LOOKS_FOR_PINS_FIRST
  is_not_pinned(c - 1);
#endif
#endif
  if
  :: ok ->
     atomic {
       CALL
       i_window[UNLOAD] = f_window[c - 1]; i_victim[UNLOAD] = c; i_mapping[UNLOAD] = c; REMOVE(i_done, UNLOAD);
       CALL
#ifdef UNLINKS_FIRST
       unlink(c - 1);
#else
       in_flight[f_window[c - 1]] = UNLOAD + 1;
#endif
       torn = 0; look_around()
     }
  :: else -> atomic { EV(K_UNTOMBSTONE, f_window[c - 1], 0) REMOVE(f_tombstone, c - 1); torn = 0; look_around() }
  fi
}

inline begin_unload() {             /* Tables.begin_unload of the frame c - 1: sets ok */
  ok = 0;
  i_successor[UNLOAD] = 0;                                                       /* a new Unload has none */
  if
  :: HAS(frames, c - 1) && in_flight[f_window[c - 1]] == 0 ->
     is_not_pinned(c - 1);
     if :: ok -> set_tombstone() :: else fi
  :: else
  fi
}

inline unload_next() {              /* Tables.unload_next: sets ok */
  passed = t_refused[me];
  i_successor[UNLOAD] = 0;                                                       /* a new Unload has none */
  do
  :: true ->
     victim();
     if
     :: c == 0 -> ok = 0; break
     :: else ->
        set_tombstone();
        if :: ok -> break :: else -> ADD(passed, c - 1) fi
#ifdef GIVES_UP_AFTER_ONE_VICTIM
        ; if :: !ok -> break :: else fi
#endif
     fi
  od;
  passed = 0
}

inline unload_for() {               /* Tables.unload_for: sets ok */
  passed = 0;
  victim();
  ok = 0;
  if
  :: c && total_handles <= LIMIT ->
     i_successor[UNLOAD] = LOAD + 1;
     set_tombstone();
     if :: !ok -> i_successor[UNLOAD] = 0 :: else fi
  :: else
  fi;
  c = 0
}

inline unmap() {                    /* Pool._unmap: sets ok */
  ok = 0;
  STRIKE
  if
  :: out != FAILED ->
     atomic {
       assert(!(f_pins[i_victim[UNLOAD] - 1] & safe) || HAS(f_gone, i_victim[UNLOAD] - 1));                 /* I5 */
       s = i_mapping[UNLOAD] - 1;
       close_unless_viewed();
       s = 0; look_around()
     }
  :: else
  fi
}

inline close_unless_viewed() {      /* of the map of frame s: sets ok */
  if
  :: HAS(f_open, s) ->
     EV(K_UNMAP, f_window[s], (f_exports[s] == 0))
     ok = (f_exports[s] == 0);
     if :: ok -> REMOVE(f_open, s); kernel-- :: else fi
  :: else -> ok = 1
  fi
}

inline unload_one() {               /* Pool._unload_one, after its section, and its finally: sets ok */
  if :: i_victim[UNLOAD] && out != FAILED -> unmap() :: else -> ok = 0 fi;
#ifdef TRUSTS_A_VICTIM_THAT_STAYS
  ok = (i_victim[UNLOAD] != 0);
#endif
  if :: i_victim[UNLOAD] -> post(UNLOAD) :: else fi
}

/* ---- Making room ---- */
inline reserve() {                  /* Tables.reserve for LOAD, not as the last attempt: sets ok */
  ok = total_handles < LIMIT;
  if
  :: ok ->
     do
     :: kept && total_handles + kept >= LIMIT -> release_oldest_descriptor()
     :: else -> break
     od;
     atomic { CALL torn = 1; total_handles++; CALL ADD(i_reserved, LOAD); torn = 0; look_around() }
  :: else
  fi
}

inline look_for_flights() {         /* Tables.unload_in_flight, then Tables.load_in_flight: sets t_wait[me] */
  atomic {
    i = 0;
#ifdef DOES_NOT_WAIT_FOR_AN_UNLOAD
    i = NW;
#endif
    do :: i < NW && !(in_flight[i] && IS_UNLOAD(in_flight[i] - 1)) -> i++ :: else -> break od;
    if
    :: i == NW ->
       i = 0;
#ifdef DOES_NOT_WAIT_FOR_A_LOAD
       i = NW;
#endif
       do :: i < NW && !(in_flight[i] && HAS(i_reserved, in_flight[i] - 1)) -> i++ :: else -> break od
    :: else
    fi;
    if :: i < NW -> t_wait[me] = in_flight[i] :: else fi;
    i = 0
  }
}

inline is_any_free_again() {        /* Pool._is_any_free_again: sets ok */
  i = 0;
  do
  :: i < NS ->
     atomic {
       if
       :: HAS(t_refused[me], i) && (!HAS(frames, i) || !HAS(f_open, i) || f_exports[i] == 0) -> REMOVE(t_refused[me], i); ok = 1
       :: else
       fi;
       i++
     }
  :: else -> break
  od;
  i = 0
}

inline attempt() {                  /* Pool._attempt for LOAD: out is DONE, BEGUN (an unload, or to be tried again), WAITS or an error */
  if :: leftovers -> atomic { torn = 1; atomic { c_code { do_strike_out_leftovers(); do_sweep(); do_look_for_room(); } }; torn = 0 } :: else fi;
  ok = HAS(i_reserved, LOAD);                                                    /* has_room */
  if :: !ok -> reserve() :: else fi;
  if
  :: ok -> out = DONE; ok = 0
  :: else ->
     unload_next();
     if
     :: ok -> out = BEGUN
     :: else ->
        look_for_flights();
        if
        :: t_wait[me] -> out = WAITS
        :: else ->
           /* HandleLimitError: was there a pin that ended, or a view? */
           ok = 0;
#ifndef TAKES_LOOKS_FOR_A_SNAPSHOT
           atomic { ok = (n_released > 0) };
#ifndef DOES_NOT_LOOK_AGAIN
           if :: !ok -> is_any_free_again() :: else fi;
#endif
#endif
           atomic {
             if
             :: ok -> out = BEGUN; ok = 0
             :: else ->
                c_code { do_look_for_room(); };
#if !defined(WITHOUT_GIL)
                assert(HAS(was_full, me));                                       /* no limit error while something is idle */
#endif
                out = LIMIT_ERROR
             fi
           }
        fi
     fi
  fi
}

inline make_room() {                /* Pool._make_room for LOAD: out is DONE, or an error */
  atomic { REMOVE(was_full, me); ADD(making_room, me); t_refused[me] = 0; look_around() };
  do
  :: true ->
     out = DONE; ok = 0; c = 0;
     LOCKED attempt(); UNLOCKED
     if
     :: i_victim[UNLOAD] ->
        if :: out != FAILED -> unmap() :: else fi;
        atomic { if :: !ok && out != FAILED -> ADD(t_refused[me], c - 1) :: else fi; c = 0; ok = 0 };
        post(UNLOAD)
     :: else
     fi;
     c = 0;
     if :: out == WAITS -> wait() :: else fi;
     if :: out == BEGUN || out == WAITS :: else -> break fi
  od;
  atomic { REMOVE(making_room, me); REMOVE(was_full, me); t_refused[me] = 0; ok = 0; c = 0 }
}

/* ---- Loads ---- */
inline publish(w) {                 /* Tables.publish */
  if
#ifndef PUBLISHES_TO_A_CLOSED_MANAGER
  :: closed -> out = MANAGER_CLOSED
#endif
  :: else ->
     if
#ifdef DISCARDS_A_VICTIM            /* and so its successor takes the room that it was promised */
     :: !HAS(i_reserved, LOAD) -> total_handles++
#else
     :: !HAS(i_reserved, LOAD) -> reserve(); if :: !ok -> out = LIMIT_ERROR :: else fi; ok = 0
#endif
     :: else
     fi;
     if
     :: out == DONE ->
        atomic {
          torn = 1;
          assert(windows[w] == 0);                                               /* I4, I8 */
          windows[w] = t_frame[me]; ADD(frames, t_frame[me] - 1);
#ifndef CALLS_BETWEEN_PUBLISHING_AND_OWNING
          i_mapping[LOAD] = 0;
#endif
          look_around()
        };
        atomic {
#ifdef CALLS_BETWEEN_PUBLISHING_AND_OWNING
          CALL
          i_mapping[LOAD] = 0;
#endif
          CALL
#ifndef COUNTS_OUTSIDE
          handles++;
#endif
          CALL
          REMOVE(i_reserved, LOAD); in_flight[w] = 0;
          ADD(i_done, LOAD);
          CALL
          finish(LOAD); torn = 0; look_around();
          CALL
          keep_descriptor(FILE(w), i_descriptor[me])
        }
     :: else
     fi
  fi
}

inline load(w) {                    /* Pool._load: out is DONE, or an error; the frame is t_frame[me], its pin FRESH */
  out = DONE;
  if
  :: i_victim[UNLOAD] ->
     unmap();
     if :: out == DONE -> post(UNLOAD) :: else fi
  :: else
  fi;
  if :: out == DONE && i_descriptor[me] == 0 -> open(i_descriptor[me]) :: else fi;
  if
  :: out == DONE && !HAS(i_reserved, LOAD) && !ok ->
     first = 0;
     LOCKED reserve(); if :: !ok -> unload_for() :: else fi; UNLOCKED             /* reserve_or_unload_for */
     unload_one();
     if :: out == DONE && !ok -> make_room() :: else fi
  :: else
  fi;
  ok = 0;
  if
  :: out == DONE ->
     if
     :: atomic {                                                                 /* reader.load, Frame, frame.pin */
          EV(K_MAP, w, 1)
          assert(HAS(d_open, i_descriptor[me] - 1));
          s = 0;
          do :: HAS(used, s) -> s++ :: else -> break od;
          assert(s < NS);
          ADD(used, s); f_window[s] = w; ADD(f_has_map, s); ADD(f_open, s);
          kernel++;
          assert(kernel <= LIMIT);                                               /* I2, as the kernel sees it */
          ADD(f_pins[s], FRESH); ADD(exporting, FRESH); ADD(safe, FRESH); f_exports[s] = 1;
          i_mapping[LOAD] = s + 1; t_frame[me] = s + 1; s = 0
        }
#ifdef FAILURES
     :: atomic { failures > 0 -> EV(K_MAP, w, 0) failures--; out = FAILED }
#endif
     fi
  :: else
  fi;
  STRIKE
  if :: out == DONE -> LOCKED publish(w); UNLOCKED :: else fi;
#ifdef COUNTS_OUTSIDE
  if :: out == DONE -> s = handles; handles = s + 1; s = 0 :: else fi;
#endif
  if
  :: out != DONE && t_frame[me] ->
     if
     :: !HAS(frames | discarded, t_frame[me] - 1) ->                             /* view.release(), and the names go */
        atomic {
          f_exports[t_frame[me] - 1]--; REMOVE(exporting, FRESH); REMOVE(safe, FRESH); REMOVE(f_pins[t_frame[me] - 1], FRESH);
          t_frame[me] = 0; look_around()
        }
     :: else -> die(FRESH, t_frame[me] - 1, 0); atomic { t_frame[me] = 0; look_around() }
     fi
  :: else
  fi
}

inline drop_pin_if_failed() {       /* an exception struck after the pin was taken */
  skip;
#ifdef STRIKES
  if
  :: out == FAILED ->
     if
     :: t_frame[me] && HAS(f_pins[t_frame[me] - 1], FRESH) -> die(FRESH, t_frame[me] - 1, 0)
     :: t_frame[me] && !HAS(f_pins[t_frame[me] - 1], FRESH) && HAS(exporting, FRESH) ->         /* view.release() */
        atomic { f_exports[t_frame[me] - 1]--; REMOVE(exporting, FRESH); look_around() }
     :: else
     fi;
     atomic { t_frame[me] = 0; t_wait[me] = 0; look_around() }
  :: else
  fi
#endif
}

inline find_or_begin(w, only_if_room) {         /* Pool._find_or_begin: sets out */
  if
  :: closed -> out = MANAGER_CLOSED
  :: else ->
     atomic { EV(K_LOOK, w, (windows[w] != 0)) t_frame[me] = windows[w] };       /* file.windows.get(start) */
     if :: t_frame[me] -> pin(t_frame[me] - 1) :: else -> got = 0 fi;
     if
     :: got -> out = DONE; got = 0
     :: else ->
        assert(t_frame[me] == 0 || HAS(f_open, t_frame[me] - 1) || in_flight[w]);                          /* drop_if_closed */
        atomic {
          t_frame[me] = 0; look_around();
          CALL
          if
          :: only_if_room && (in_flight[w] || total_handles + kept >= LIMIT) -> out = NO_ROOM
          :: else ->
             atomic {                                                            /* Tables.begin_load */
               i_window[LOAD] = w; ADD(i_serial, LOAD); REMOVE(i_done, LOAD);
               CALL
#ifdef MAPS_WHAT_ANOTHER_MAPS
               if :: true ->
#else
               if :: in_flight[w] == 0 ->
#endif
                  in_flight[w] = LOAD + 1; out = BEGUN; CALL
                  if :: descriptor[FILE(w)] -> i_descriptor[me] = descriptor[FILE(w)] :: else fi
               :: else -> t_wait[me] = in_flight[w]; out = WAITS; i_window[LOAD] = 0; REMOVE(i_serial, LOAD)
               fi;
               look_around()
             };
             if :: out == BEGUN -> reserve(); ok = 0 :: else fi
          fi
        };
        if
        :: out == BEGUN && !HAS(i_reserved, LOAD) && i_descriptor[me] -> unload_for(); ok = 0
        :: else
        fi
     fi
  fi
}

/* Pool._acquire: out is DONE, with the frame in t_frame[me] and the pin FRESH; or NO_ROOM, LIMIT_ERROR, MANAGER_CLOSED, FAILED */
inline acquire(w, only_if_room) {
  do
  :: true ->
     out = DONE; first = 1;
     LOCKED find_or_begin(w, only_if_room); UNLOCKED
     drop_pin_if_failed();
     if :: out == BEGUN -> load(w) :: else fi;
     /* finally */
     if
     :: HAS(i_serial, LOAD) && !HAS(i_done, LOAD) ->
#ifdef POSTS_BEFORE_IT_CLOSES
        atomic { s = i_mapping[LOAD]; i_mapping[LOAD] = 0; t_map[me] = s; s = 0; post(LOAD) };
        atomic { if :: t_map[me] -> s = t_map[me] - 1; close_unless_viewed() :: else fi; t_map[me] = 0; s = 0; ok = 0; look_around() };
#else
        atomic { if :: i_mapping[LOAD] -> s = i_mapping[LOAD] - 1; close_unless_viewed() :: else fi; s = 0; ok = 0; look_around() };
        post(LOAD);
#endif
     :: else
     fi;
     if :: first && i_victim[UNLOAD] && !HAS(i_done, UNLOAD) -> post(UNLOAD) :: else fi;
     atomic { first = 0; i_descriptor[me] = 0; look_around() };
     if :: out == WAITS -> wait() :: else fi;
     if :: out == WAITS :: else -> break fi
  od;
  serve();
  drop_pin_if_failed();
  /* The load is over, and this thread's names of it go. */
  atomic { forget(LOAD); REMOVE(i_done, LOAD) }
}

/* ---- What users of a cursor do ---- */
inline swap_nowhere() {             /* CursorState.swap(NOWHERE) */
  if
  :: t_placement[me] ->
     atomic { c = t_placement[me]; t_placement[me] = 0 };
     die(PLACED, c - 1, 0);
     atomic { c = 0; if :: t_frame[me] == 0 -> t_pin[me] = 1 :: else fi; look_around() }
  :: else
  fi
}

inline swap() {                     /* CursorState.swap to t_frame[me] */
  if
  :: t_placement[me] ->
     atomic { s = t_placement[me]; t_placement[me] = t_frame[me]; t_frame[me] = s; s = 0; t_pin[me] = 1 - t_pin[me] };
     die(FRESH, t_frame[me] - 1, 0)                                              /* that of the old placement by now */
  :: else -> atomic { t_placement[me] = t_frame[me]; t_pin[me] = 1 - t_pin[me] }
  fi;
  atomic { t_frame[me] = 0; look_around() }
}

inline move(w) {                    /* CursorState.move */
  atomic { EV(K_LOOK, w, (windows[w] != 0)) t_frame[me] = windows[w] };
  if :: t_frame[me] -> pin(t_frame[me] - 1) :: else -> got = 0 fi;
  if
  :: got -> out = DONE; got = 0
  :: else ->
     atomic { t_frame[me] = 0; look_around() };
     do                             /* CursorState._acquire */
     :: true ->
        acquire(w, 0);
        if :: out == LIMIT_ERROR && t_placement[me] -> swap_nowhere() :: else -> break fi
     od
  fi;
  if
  :: out == DONE -> swap()
  :: out == MANAGER_CLOSED -> swap_nowhere()
  :: else
  fi
}

inline use_region(w) {              /* WindowCursor.use_region */
  atomic { EV(K_MOVE, w, 0) t_goal[me] = w + 1; look_around() };
  if
  :: atomic { t_placement[me] && f_window[t_placement[me] - 1] == w && !HAS(f_gone, t_placement[me] - 1) ->
       assert(HAS(f_open, t_placement[me] - 1)) }                                /* a hit; I5 */
  :: else -> move(w)
  fi;
  atomic { EV(K_RETURN, 0, (out == LIMIT_ERROR -> 1 : (out == MANAGER_CLOSED -> 2 : (out == FAILED -> 3 : 0)))) out = DONE; t_goal[me] = 0; look_around() }
}

inline take_view() {                /* a slice of the cursor's memoryview, which must not have been released */
  EV(K_VIEW, f_window[t_placement[me] - 1], 0)
  t_view[me] = t_placement[me]; f_exports[t_view[me] - 1]++; look_around()
}
inline drop_view() {
  atomic {
    EV(K_UNVIEW, f_window[t_view[me] - 1], 0)
    assert(HAS(f_open, t_view[me] - 1));                                         /* I5: the bytes that a view shows */
    f_exports[t_view[me] - 1]--; t_view[me] = 0; look_around()
  }
}

/* ---- Detached reads ---- */
inline descriptor_of(w) {           /* Pool.descriptor_of, where none is kept: sets out */
  if :: atomic { closed -> out = MANAGER_CLOSED } :: else -> open(i_descriptor[me]) fi;
  if
  :: out == DONE ->
     LOCKED keep_descriptor(FILE(w), i_descriptor[me]); UNLOCKED                  /* register */
     serve()
  :: else
  fi;
  atomic { if :: out == DONE -> t_descriptor[me] = i_descriptor[me] :: else fi; i_descriptor[me] = 0; look_around() }
}

inline read(w) {                    /* reading.read_from, which does not move */
  EV(K_READ, w, 0)
  own = 1;
  /* The manager has discarded the region: drop the pin, which a local name keeps until nothing is copied any more. */
  atomic { if :: t_placement[me] && HAS(f_gone, t_placement[me] - 1) -> c = t_placement[me]; t_placement[me] = 0 :: else fi };
  if
  :: atomic { t_placement[me] && f_window[t_placement[me] - 1] == w && !HAS(f_gone, t_placement[me] - 1) -> t_frame[me] = t_placement[me] }
  :: else ->
     own = 0;
     atomic { EV(K_LOOK, w, (windows[w] != 0)) t_frame[me] = windows[w] };
     if :: t_frame[me] -> atomic { if :: HAS(f_gone, t_frame[me] - 1) -> t_frame[me] = 0; look_around() :: else fi } :: else fi
  fi;
  got = 0;
  if
  :: t_frame[me] ->                 /* resident.holds: _use, Frame.copy */
     if :: !own -> ADD(f_referenced, t_frame[me] - 1) :: else fi;
     atomic { if :: HAS(f_has_map, t_frame[me] - 1) -> t_map[me] = t_frame[me] :: else fi };
     if
     :: t_map[me] -> atomic { EV(K_SLICE, w, HAS(f_open, t_map[me] - 1)) got = HAS(f_open, t_map[me] - 1); t_map[me] = 0; look_around() }
     :: else
     fi;
     if :: !got -> atomic { t_frame[me] = 0; look_around() } :: else fi
  :: true                           /* its bytes are not known to be in memory, or it is not mapped */
  fi;
  if :: c -> die(PLACED, c - 1, 0); atomic { c = 0; if :: t_frame[me] == 0 -> t_pin[me] = 1 :: else fi; look_around() } :: else fi;
  if
  :: !got ->
     atomic { EV(K_DESCRIPTOR, 0, (descriptor[FILE(w)] != 0)) t_descriptor[me] = descriptor[FILE(w)] };
     /* reading._descriptor and Pool.descriptor_of look again */
     if :: t_descriptor[me] == 0 -> atomic { EV(K_DESCRIPTOR, 0, (descriptor[FILE(w)] != 0)) t_descriptor[me] = descriptor[FILE(w)] } :: else fi;
     if :: t_descriptor[me] == 0 -> atomic { EV(K_DESCRIPTOR, 0, (descriptor[FILE(w)] != 0)) t_descriptor[me] = descriptor[FILE(w)] } :: else fi;
     if :: t_descriptor[me] == 0 -> descriptor_of(w) :: else fi;
     if
     :: out == DONE ->
        atomic { EV(K_PREAD, 0, 0) assert(HAS(d_open, t_descriptor[me] - 1)) };
        if
        :: t_frame[me] -> if :: !own -> ADD(f_referenced, t_frame[me] - 1) :: else fi
        :: t_frame[me] == 0 && total_handles + kept < LIMIT ->                   /* Pool.acquire_if_room: a hint */
           i_descriptor[me] = t_descriptor[me];
           acquire(w, 1);
           if :: out == DONE -> die(FRESH, t_frame[me] - 1, 0) :: else fi;
           assert(out != LIMIT_ERROR || closed);
           out = DONE
        :: else
        fi
     :: else
     fi;
     atomic { t_descriptor[me] = 0; look_around() }
  :: else
  fi;
  atomic { EV(K_RETURN, 0, (out == MANAGER_CLOSED -> 2 : (out == FAILED -> 3 : 0))) t_frame[me] = 0; out = DONE; got = 0; own = 0; look_around() }
}

/* ---- What users of a manager do ---- */
inline free_leftovers() {           /* Pool._free_leftovers */
  t_list[me] = leftovers;
  do
  :: atomic { t_list[me] ->
       s = 0;
       do :: HAS(t_list[me], s) -> break :: t_list[me] >> (s + 1) -> s++ od;                                /* in any order */
       REMOVE(t_list[me], s);
       if :: HAS(f_open, s) -> t_map[me] = s + 1 :: else fi;                     /* leftover.mapping() */
       s = 0 };
     if
     :: t_map[me] -> atomic { s = t_map[me] - 1; close_unless_viewed(); t_map[me] = 0; s = 0; ok = 0; look_around() }
     :: else
     fi
  :: else -> break
  od;
  LOCKED atomic { c_code { do_strike_out_leftovers(); do_sweep(); do_look_for_room(); } } UNLOCKED
}

inline collect() {                  /* StaticWindowMapManager.collect: Pool.settle, Pool._collect */
  EV(K_COLLECT, 0, 0)
  if :: leftovers -> free_leftovers(); serve() :: else fi;
  LOCKED                                                                         /* Pool._begin_collect */
    drain();
    i = 0;
    do
    :: i < NFILES ->
       s = 0; got = 0;                                                           /* File.is_in_use */
       do
       :: s < NW -> atomic { if :: FILE(s) == i && windows[s] && f_pins[windows[s] - 1] -> got = 1 :: else fi; s++ }
       :: else -> break
       od;
       s = 0;
       if :: descriptor[i] && !got -> release_descriptor(i) :: else fi;
       got = 0; i++
    :: else -> break
    od;
    atomic { i = 0; do :: i < n_lru -> ADD(t_list[me], lru[i]); i++ :: else -> break od; i = 0 }
  UNLOCKED
  do
  :: atomic { t_list[me] ->
       c = 1;
       do :: HAS(t_list[me], c - 1) -> break :: t_list[me] >> c -> c++ od;                                  /* in any order */
       REMOVE(t_list[me], c - 1); t_frame[me] = c };
     LOCKED begin_unload(); UNLOCKED                                             /* Pool._unload_one */
     unload_one();
     atomic { if :: out == FAILED -> t_list[me] = 0 :: else fi; out = DONE; c = 0; ok = 0; t_frame[me] = 0; look_around() }
  :: else -> break
  od;
  serve()
}

inline discard_frames(which) {      /* Pool._discard_files: Tables.discard of each frame */
  t_list[me] = frames & (which);
  do
  :: t_list[me] ->
     s = 0;
     do :: HAS(t_list[me], s) -> break :: t_list[me] >> (s + 1) -> s++ od;                                  /* in any order */
     REMOVE(t_list[me], s);
     atomic { CALL EV(K_TOMBSTONE, f_window[s], 0) torn = 1; ADD(f_tombstone, s) };
     atomic { CALL ADD(f_gone, s) };
#ifdef DISCARDS_A_VICTIM
     if
     :: true ->
#else
     if
     :: in_flight[f_window[s]] == 0 ->
#endif
        atomic { CALL ADD(t_maps[me], s); leave_to_views(s) };
        atomic { CALL unlink(s) }
     :: else
     fi;
     torn = 0
  :: else -> break
  od;
  s = 0
}

inline let_go() {                   /* Pool._let_go */
  do
  :: atomic { t_maps[me] ->
       s = 0;
       do :: HAS(t_maps[me], s) -> break :: t_maps[me] >> (s + 1) -> s++ od;                                /* in any order */
       close_unless_viewed();
       REMOVE(t_maps[me], s); s = 0; ok = 0; look_around() }
  :: else -> break
  od;
  free_leftovers()
}

inline release_all_descriptors() {
  i = 0;
  do
  :: i < NFILES -> if :: descriptor[i] -> release_descriptor(i) :: else fi; i++
  :: else -> break
  od;
  i = 0
}

inline close() {                    /* Pool.close */
  EV(K_CLOSE, 0, 0)
  LOCKED closed = 1; release_all_descriptors(); discard_frames(255); all_discarded = 1; UNLOCKED
  let_go();
  serve()
}

inline release_pins() {             /* Frame.release_pins of the frames in t_maps[me] */
  i = 0;
  do
  :: i < 2 * NT ->
     atomic {
       s = 0;
       do
       :: s < NS ->
          if
          :: HAS(t_maps[me], s) && HAS(f_pins[s], i) && HAS(exporting, i) -> REMOVE(exporting, i); REMOVE(safe, i); f_exports[s]--
          :: else
          fi;
          s++
       :: else -> break
       od;
       s = 0; i++
     }
  :: else -> break
  od;
  i = 0
}

inline discard() {                  /* Pool.discard of the files: force_map_handle_removal_win */
  EV(K_DISCARD, 0, 0)
  LOCKED release_all_descriptors(); discard_frames(255); UNLOCKED
  release_pins();
  let_go();
  serve()
}

#define LOCALS \
  mtype out = DONE; bit got; bit ok; bit own; bit first; byte n; byte i; byte c; byte s; byte passed; byte pinned; byte were_read; byte w

proctype Mover(byte me; byte todo) {
  LOCALS;
  t_pin[me] = 1;
  do
  :: todo > 0 -> todo--;
     if
     :: true ->
        w = 0;
        do :: w < NW - 1 -> w++ :: break od;
        if
        :: true -> use_region(w)
#ifdef READS
        :: true -> read(w)
#endif
        fi;
        w = 0
     :: t_placement[me] -> EV(K_UNUSE, 0, 0) swap_nowhere()
#ifdef VIEWS
     :: atomic { t_placement[me] && !t_view[me] && !HAS(f_gone, t_placement[me] - 1) && HAS(exporting, PLACED) -> take_view() }
     :: t_view[me] -> drop_view()
#endif
     fi
#ifdef TRACE
  :: true -> break
#endif
  :: else -> break
  od;
  if :: t_view[me] -> drop_view() :: else fi;
  swap_nowhere();
  atomic { t_pin[me] = 0; ended++ }
}

proctype Janitor(byte me; byte todo; bit closes) {
  LOCALS;
  do
  :: todo > 0 -> todo--;
     if
     :: true -> collect()
#ifdef DISCARDS
     :: true -> discard()
#endif
     fi
#ifdef TRACE
  :: true -> break
#endif
  :: else -> break
  od;
  if :: closes -> close() :: else fi;
  atomic { ended++ }
}

init {
  byte i = 0;
#ifdef TRACE
  c_code { load_trace(); };
#endif
  atomic {
    do                              /* each cursor has looked at its file, whose descriptor is kept */
    :: i < NFILES && i < LIMIT -> descriptor[i] = i + 1; ADD(d_open, i); kept++; i++
    :: else -> break
    od;
    i = 0;
#ifdef WARM                         /* so many windows are mapped already, and idle */
    kept = 0; d_open = 0;
    do :: i < NFILES -> descriptor[i] = 0; i++ :: else -> break od;
    i = 0;
    do
    :: i < WARM ->
       ADD(used, i); f_window[i] = i; ADD(f_has_map, i); ADD(f_open, i); ADD(frames, i); windows[i] = i + 1;
       lru[i] = i; n_lru++; total_handles++; handles++; kernel++; i++
    :: else -> break
    od;
    i = 0;
#endif
    do
    :: i < MOVERS -> run Mover(i, (i == 0 -> OPS0 : OPS)); i++
    :: else -> break
    od;
#if MOVERS < NT
    run Janitor(MOVERS, COLLECTS, CLOSES);
#endif
    i = 0
  };
  atomic { ended == NT -> run Janitor(0, 1, 0) };
  /* I6, I9: no cursors, no views, collect() */
  ended == NT + 1;
  assert(total_handles == 0 && handles == 0 && kept == 0 && kernel == 0 && d_open == 0);
  assert(frames == 0 && leftovers == 0 && discarded == 0 && used == 0 && closing == 0);
  assert(n_lru == 0 && n_released == 0 && n_finished == 0 && i_reserved == 0 && lock == 0 && torn == 0);
  do :: i < NW -> assert(windows[i] == 0 && in_flight[i] == 0); i++ :: else -> break od;
  i = 0
}

#ifdef FAIRNESS
ltl every_call_returns { <> (ended == NT) }
#endif
