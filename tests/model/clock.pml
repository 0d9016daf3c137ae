/* clock.pml - the change clock, searched in every order of its steps (Promela, for Spin).
 *
 * Claimed, for one host:
 *   (a) no answer is older than a write that was acknowledged before its request began;
 *   (b) kill everybody at any moment and let one more sync() run: no entry that is valid then differs from the database;
 *   (c) no answer is older than data that was shown to anybody before its request began.
 *
 * Who stands for what:
 *   Writer     WriteTransaction: before_, BEGIN IMMEDIATE to COMMIT, ChangeClock::publish; then the client is told
 *   Reader     a request: Cache::look, else Store::read, the queries, Cache::put. A page may be made of a cached part (NESTED, used());
 *              who misses may wait for another's computation (WAITERS, Flights) and judges what he is given like any entry (Cache::judge)
 *   Follower   Follower::Loop: sync() when PRAGMA data_version moved
 *   Restart    all processes end, a shell may write, shared memory is kept or removed, ChangeClock::open, new processes (RESTART)
 *   the never claim at the end: (b), looked at in every state
 * Every Reader and Writer may be a process of its own: nothing relies on the mutexes and queues that threads of one process share.
 *
 * One step here is one atomic operation there, or touches nothing that others see: one statement or one transaction of SQLite, one load
 * or raise of a word in shared memory, one get or set of an entry. Where several operations of the code are one step, a comment says why
 * nothing is lost by it.
 *
 * Where is kill -9? Everywhere. A killed process is one that takes no further step, and the search looks at all that the others can do
 * while somebody stands still, after every step of his. No lock can hide there: the transaction's is within one step, and who waits may
 * always give up waiting.
 *
 * The data is its own version: what is read of tag t is the number of the last change of t, so "older" is "smaller".
 *
 * Not in this model: other epochs and restored databases under a running service (epoch.pml); weak memory (a step is seen by all at
 * once, which is what acquire and release are for); time (the lease, expiry, what is shown because only its time ran out); other hosts;
 * tags that share a slot (a miss more); wrong triggers; a database or shared memory that fails.
 *
 * Sizes: WRITERS, WRITES of each, READERS, REQUESTS of each, FOLLOWERS (0 or 1), COPIES of an entry (process memory, memcached, a node
 * that came back).
 * Each -DFAULT_... breaks one rule of the code; `run` expects the search to notice every one.
 */

#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef WRITES
#define WRITES 1
#endif
#ifndef READERS
#define READERS 2
#endif
#ifndef REQUESTS
#define REQUESTS 1
#endif
#ifndef FOLLOWERS
#define FOLLOWERS 1
#endif
#ifndef COPIES
#define COPIES 1
#endif

#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define MIN(a, b) ((a) < (b) -> (a) : (b))
#define RAISE(word, value) word = MAX(word, value)

/* --- What outlives every process: the database (tables clock and change), and what the caches hold. */

byte seq;        /* clock.seq */
byte change[2];  /* change.seq of both tags, at the same time the data that the tag stands for */
bit epoch;       /* clock.epoch, and the memory's: they differ only inside of Restart's one step */

/* The page shows what tags 0 and 1 stand for, the part tag 1 only. A look-up may find any copy. */
#define PAGE 0
#define PART 1
typedef Entry {
    bit there;
    bit epoch;
    byte label;  /* S */
    byte data[2]
}
Entry cached[2 * COPIES];

/* --- Shared memory of the host (EpochMemory). */

byte slot[2];  /* last_change */
byte synced;   /* synced_seq */

/* --- What clients know. */

byte acknowledged[2];
byte shown[2];

#ifdef WAITERS
bit computing[2];  /* somebody makes the page, the part */
Entry result[2];   /* what the last who did so gave to those who wait */
#endif

#ifdef RESTART
bit generation;  /* of processes: those of another one are dead */
#define UNTIL_KILLED unless { generation != mine }
#else
#define UNTIL_KILLED
#endif

/* --- EpochMemory::raise_to: the slots in any order, then synced_seq. The set is `rows` (0: none) and `last`, its clock.seq.
 *     The code's other guard (set.since > synced_seq) never fires within one memory: epoch.pml has it. */

inline raise_slot(t) {
#ifdef FAULT_SLOTS_ARE_SET_NOT_RAISED
    slot[t] = rows[t];
#else
    RAISE(slot[t], rows[t]);
#endif
    rows[t] = 0
}

inline raise_to() {
#ifdef FAULT_SYNCED_BEFORE_SLOTS
    RAISE(synced, last);
#endif
    do
    :: d_step { rows[0] != 0 -> raise_slot(0) }
    :: d_step { rows[1] != 0 -> raise_slot(1) }
    :: atomic { rows[0] == 0 && rows[1] == 0 -> RAISE(synced, last); last = 0; since = 0; break }
    od
}

/* changes_since(since), one statement. */
inline read_changes() {
    rows[0] = (change[0] > since -> change[0] : 0);
    rows[1] = (change[1] > since -> change[1] : 0);
    last = seq
}

/* ChangeClock::sync. The caller has loaded `since`. */
inline sync() {
    d_step { read_changes() }
#ifdef FAULT_TWO_SNAPSHOTS
    last = seq;
#endif
    raise_to()
}

/* --- Writers. Within a transaction nobody else commits and nobody sees anything: BEGIN IMMEDIATE to COMMIT is one step. */

inline commit(t) {
    seq++;
    change[t] = seq;
    number = seq;
#if defined(FAULT_PUBLISHES_OWN_ROW_ONLY)
    rows[t] = seq;
    last = seq
#elif !defined(FAULT_SYNC_BEFORE_COMMIT_ONLY)
    read_changes()
#endif
}

inline write() {
    atomic { writes--; since = synced } /* before_ */
#ifdef FAULT_SYNC_BEFORE_COMMIT_ONLY
    sync();
#endif
    atomic {
        if
        :: tag = 0
        :: tag = 1
        fi;
        d_step { commit(tag) }
    }
#ifndef FAULT_SYNC_BEFORE_COMMIT_ONLY
    raise_to(); /* publish */
#endif
    atomic { RAISE(acknowledged[tag], number); number = 0; tag = 0 }
}

proctype Writer(bit mine; byte writes) {
    byte since, last, rows[2];
    byte number;
    bit tag;
    {
        do
        :: writes > 0 -> write()
        :: writes == 0 -> break
        od
    } UNTIL_KILLED
}

#if FOLLOWERS > 0
/* moved() and sync()'s load of synced_seq are one step: between them synced_seq could only grow, and the set be smaller. */
proctype Follower(bit mine) {
    byte since, last, rows[2];
    byte version; /* data_version at the last look */
    {
end:    do
        :: d_step { version != seq -> version = seq; since = synced } sync()
        od
    } UNTIL_KILLED
}
#endif

#ifdef FAULT_STORES_IN_TRANSACTION
/* A transaction that reads its own write, with the number that the clock has inside of it, and is rolled back. */
proctype Undecided() {
    byte label;
    label = seq + 1;
    label <= synced; /* so Cache::put takes it */
    d_step { cached[PART * COPIES].there = 1; cached[PART * COPIES].label = label; cached[PART * COPIES].data[1] = label }
}
#endif

/* --- Readers. */

/* The floor is taken in the step that loads synced_seq (ChangeClock::read): the latest and so the strictest moment. */
inline begin() {
    d_step {
        requests--;
        floor[0] = MAX(acknowledged[0], shown[0]);
        floor[1] = MAX(acknowledged[1], shown[1]);
        y = synced
    }
}

inline take(entry) {
    found = entry.label;
    data[1] = entry.data[1];
    if
    :: what == PAGE -> data[0] = entry.data[0]
    :: else
    fi
}

/* Reading::is_valid, up to the slots. A label is never later than synced_seq when it is stored, so when that is compared doesn't matter. */
inline look_up(which) {
    atomic {
        copy = which * COPIES;
#if COPIES > 1
        if
        :: skip
        :: copy++
        fi;
#endif
        d_step {
            what = which;
            valid = cached[copy].there && cached[copy].epoch == epoch && cached[copy].label <= synced;
            if
            :: valid -> take(cached[copy])
            :: else
            fi;
            copy = 0
        }
    }
}

/* The rest of it: the slots, one load after the other. */
inline check_slots() {
    if
    :: atomic { valid && what == PAGE -> valid = slot[0] <= found }
    :: !valid || what == PART
    fi;
    atomic {
        valid = valid && slot[1] <= found;
        what = 0
    }
}

/* BEGIN, clock.seq, the queries; but first the host catches up with the snapshot (Store::read, Database::sync_up_to).
 * The code compares with an older look at synced_seq too; that can only add a sync(). */
inline read_snapshot() {
#ifdef FAULT_LABEL_AFTER_QUERIES
    d_step { own[0] = change[0]; own[1] = change[1] }
    position = seq;
#else
    d_step { own[0] = change[0]; own[1] = change[1]; position = seq }
#endif
#ifndef FAULT_ANSWERS_BEFORE_SYNC
    if
    :: d_step { position > synced -> since = synced } sync()
    :: position <= synced
    fi
#endif
}

/* Cache::put. It refuses what the host has not synced; what else it refuses is stored here all the same, or not: sets get lost. */
inline put(which, S, data0, data1) {
    copy = which * COPIES;
    if
    :: S > synced
    :: S <= synced
    :: S <= synced ->
#if COPIES > 1
        if
        :: skip
        :: copy++
        fi;
#endif
        cached[copy].there = 1; cached[copy].epoch = epoch; cached[copy].label = S;
        cached[copy].data[0] = data0; cached[copy].data[1] = data1
    fi;
    copy = 0
}

/* What the page shows of tag 0, and without NESTED of tag 1 too: one snapshot. */
inline read_own() {
    read_snapshot();
    atomic {
        data[0] = own[0];
#ifndef NESTED
        data[1] = own[1];
#endif
        label = MIN(label, position);
        own[0] = 0; own[1] = 0; position = 0; wants_own = 0
    }
}

#ifdef NESTED
/* The part for a page, from the cache. Noted with max(inner S, Y). */
inline find_part() {
    y = synced;
    look_up(PART);
    check_slots();
#ifdef FAULT_LIFTED_AFTER_THE_CHECK
    y = synced;
#endif
    if
    :: d_step { valid ->
#ifndef FAULT_NESTED_OUTER_LABEL
        label = MIN(label, MAX(found, y));
#endif
        valid = 0;
        wants_part = 0
       }
    :: !valid
    fi
}
#endif

/* The part from a snapshot of its own; it is stored too when a page asks for it. */
inline read_part() {
    read_snapshot();
    atomic {
        data[1] = own[1];
        label = MIN(label, position);
#ifdef NESTED
        if
        :: key == PAGE -> put(PART, position, 0, own[1])
        :: else
        fi;
#endif
        own[0] = 0; own[1] = 0; position = 0; found = 0; wants_part = 0
    }
}

/* `label` becomes that of the oldest part. */
inline compute() {
    d_step {
        label = 255;
        found = 0;
        wants_own = (key == PAGE);
#ifdef NESTED
        wants_part = 1
#else
        wants_part = (key == PART)
#endif
    }
    do
    :: wants_own -> read_own()
    :: wants_part ->
#ifdef NESTED
        if
        :: key == PAGE -> find_part()
        :: key == PART
        fi;
#endif
        if
        :: wants_part -> read_part()
        :: !wants_part
        fi
    :: !wants_own && !wants_part -> break
    od
}

/* Shown in the step that answers: the earliest and so the strictest moment for the others. */
inline answer() {
    d_step {
        assert(data[1] >= floor[1]);
        RAISE(shown[1], data[1]);
        if
        :: key == PAGE -> assert(data[0] >= floor[0]); RAISE(shown[0], data[0])
        :: else
        fi;
        floor[0] = 0; floor[1] = 0; y = 0; found = 0; label = 0; data[0] = 0; data[1] = 0; key = 0; valid = 0
    }
}

inline store_and_answer() {
    atomic {
        put(key, label, data[0], data[1]);
#ifdef WAITERS
        if
        :: leads -> d_step {
            result[key].there = 1; result[key].epoch = epoch; result[key].label = label;
            result[key].data[0] = data[0]; result[key].data[1] = data[1];
            computing[key] = 0; leads = 0
           }
        :: else
        fi;
#endif
        answer()
    }
}

#ifdef WAITERS
/* Flights: lead, or wait for the leader's result (given out even where put refuses it), or have waited long enough. */
inline lead_or_wait() {
    if
    :: d_step { !computing[key] -> computing[key] = 1; result[key].there = 0; leads = 1 }
    :: computing[key] ->
        if
        :: d_step { !computing[key] && result[key].there ->
            what = key;
            y = synced;
            valid = result[key].epoch == epoch && result[key].label <= synced;
            if
            :: valid -> take(result[key])
            :: else
            fi
           }
#ifndef FAULT_WAITER_UNCHECKED
           check_slots()
#endif
        :: skip
        fi
    fi
}
#endif

proctype Reader(bit mine; byte requests) {
    byte since, last, rows[2];
    byte own[2], position;             /* of a snapshot */
    byte found;                        /* label of an entry */
    byte floor[2], y, label, data[2];  /* of the answer */
    byte copy;
    bit key, what, valid, wants_own, wants_part, leads;
    {
        do
        :: requests > 0 ->
            atomic {
                if
                :: key = PAGE
                :: key = PART
                fi;
                begin()
            }
            look_up(key);
            check_slots();
#ifdef WAITERS
            if
            :: !valid -> lead_or_wait()
            :: valid
            fi;
#endif
            if
            :: valid -> answer()
            :: !valid -> compute(); store_and_answer()
            fi
        :: requests == 0 -> break
        od
    } UNTIL_KILLED
}

/* --- ChangeClock::open by the first process of the host: the others wait for the opening lock, so it is one step (epoch.pml takes it
 *     apart). What it finds is kept only if it is not a change more or less than the database; else there is a new epoch, and a memory
 *     filled from the table of changes. */

#ifdef RESTART
inline open_first() {
    if
    :: kept && synced == seq
#ifdef FAULT_KEPT_MEMORY_IS_BELIEVED
    :: kept && synced != seq
#endif
    :: else ->
        epoch++;
        slot[0] = change[0]; slot[1] = change[1]; synced = seq
    fi
}

inline shell_write(t) {
    seq++;
    change[t] = seq;
    acknowledged[t] = seq
}

/* init, this process, and the claim. */
#ifdef WITHOUT_LAST_LOOK
#define SURVIVORS 2
#else
#define SURVIVORS 3
#endif

proctype Restart() {
    bit kept;
    byte number, since, last, rows[2];
    generation = 1;
    atomic { _nr_pr == SURVIVORS ->
        if
        :: kept = 1
        :: slot[0] = 0; slot[1] = 0; synced = 0
        fi;
        if
        :: shell_write(0)
        :: shell_write(1)
        :: skip
        fi;
        open_first();
#if FOLLOWERS > 0
        run Follower(1);
#endif
        run Reader(1, REQUESTS); run Writer(1, 1)
    }
}
#endif

init {
    byte i;
    atomic {
#ifdef RESTART
        run Restart();
#endif
#ifdef FAULT_STORES_IN_TRANSACTION
        run Undecided();
#endif
#if FOLLOWERS > 0
        run Follower(0);
#endif
        for (i : 1 .. WRITERS) { run Writer(0, WRITES) }
        for (i : 1 .. READERS) { run Reader(0, REQUESTS) }
        i = 0
    }
}

/* --- (b) If nobody took another step but one sync(): its slots and synced_seq would be these. */

#define SLOT_THEN(t) (change[t] > synced && change[t] > slot[t] -> change[t] : slot[t])
#define SYNCED_THEN  MAX(synced, seq)
#define VALID_THEN(e) (e.there && e.epoch == epoch && e.label <= SYNCED_THEN && SLOT_THEN(1) <= e.label)
#define RIGHT_PART(e) (!VALID_THEN(e) || e.data[1] == change[1])
#define RIGHT_PAGE(e) (!(VALID_THEN(e) && SLOT_THEN(0) <= e.label) || (e.data[0] == change[0] && e.data[1] == change[1]))

#ifndef WITHOUT_LAST_LOOK
never {
    do
    :: assert(RIGHT_PAGE(cached[PAGE * COPIES]) && RIGHT_PART(cached[PART * COPIES]))
#if COPIES > 1
    :: assert(RIGHT_PAGE(cached[PAGE * COPIES + 1]) && RIGHT_PART(cached[PART * COPIES + 1]))
#endif
    od
}
#endif
