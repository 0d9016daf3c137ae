/* epoch.pml - the change clock when the database goes back: restored copies, epochs, memories that replace each other (Promela, for Spin).
 *
 * clock.pml has the protocol within one memory, in finer steps. Here the memory itself changes, and numbers may be used twice: a restored
 * database counts on from where its copy stood, and gives the same numbers to other changes.
 *
 * Claimed, for one host, with (a), (b), (c) as in clock.pml: an answer is never older than a write or a `recto restore` that was
 * acknowledged before its request began, nor than what was shown before; and after one more look at the database no valid entry differs
 * from it. Where the database is restored by other means under running processes (RAW), only (b) and what follows the next look count.
 *
 * Who stands for what:
 *   Writer     Store::write (went_back: sync() and begin again), commit, ChangeClock::publish
 *   Reader     Cache::look, Store::read (went_back too), Cache::put
 *   Follower   sync() when data_version moved, or the lease can't be renewed because the memory isn't usable
 *   Shell      a write that nobody publishes
 *   Restore    a copy comes back, once:
 *              (default)  by `recto restore`: one transaction, in a new epoch; acknowledged after a sync()
 *              RAW        by other means, as it is, with the epoch that it had, in a quiet moment: the host has synced all that was
 *                         written, and nobody writes before somebody has looked. (Else old and new numbers can be confused: `run`
 *                         shows that too.)
 *              LOST       not at all; instead the root names no memory any more
 *   Restart    (RESTART) all processes end; the copy may come back as it is; shells may write; the shared memory is kept, kept from
 *              another boot, or gone; ChangeClock::open, perhaps killed on its way and begun again; new processes
 *
 * An entry shows tag 0 only; changes of other tags make the numbers go on. A change has a nonce that no other has, which serves as the
 * data too: it is the moment when that data became current. The copy's becomes current again at the moment of the restore. There is one
 * change before the start, known to all; the copy was taken before it (COPY 0) or after it (COPY 1).
 *
 * Not in this model: memory files that can't be made or mapped; a root that is removed under running processes (the follower
 * finds another within a poll, until then two memories are in use); untrusted triggers; more than one restore.
 */

#ifndef WRITES
#define WRITES 1
#endif
#ifndef REQUESTS
#define REQUESTS 2
#endif
#ifndef SHELL_WRITES
#define SHELL_WRITES 1
#endif
#ifndef FOLLOWERS
#define FOLLOWERS 1
#endif
#ifndef COPY
#define COPY 0
#endif
#define MEMORIES 6

#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define RAISE(word, value) word = MAX(word, value)

/* --- The database. */

typedef Database {
    byte epoch;
    byte seq;
    byte nonce;   /* of the last change */
    byte change;  /* change.seq of tag 0 */
    byte data     /* what tag 0 stands for */
}
Database db;

byte events;       /* commits and restores so far: the next nonce */
byte epochs = 1;   /* made so far; new_epoch() is greater than all of them */
#if FOLLOWERS > 0
byte version;      /* PRAGMA data_version */
#define COMMITTED version++
#else
#define COMMITTED skip
#endif
byte restored_at;
#ifdef RAW
bit unseen;        /* RAW: nobody has begun and ended a look since */
#endif

typedef Entry {
    bit there;
    byte epoch;
    byte label;
    byte data
}
Entry cached;

/* --- Shared memory. The root names one of the memories; who has a Reading of another keeps it. */

#define UNSETTLED 0
#define USABLE 1
#define BROKEN 2

typedef Memory {
    byte epoch;
    byte state;
    byte synced;
    byte mark_seq;
    byte mark_nonce;
    byte slot
}
Memory memory[MEMORIES];
byte root;  /* 0: none */
byte made;

/* --- What clients know. */

byte acknowledged;
byte shown;

#ifdef RESTART
bit generation;
#define UNTIL_KILLED unless { generation != mine }
#else
#define UNTIL_KILLED
#endif

typedef Set {
    byte epoch;
    byte seq;
    byte nonce;
    byte change
}

/* --- ChangeSource. A set: the rows after `since` (0: none), and the clock, from one statement. */

inline changes_since() {
    set.epoch = db.epoch;
    set.seq = db.seq;
    set.nonce = db.nonce;
    set.change = (db.change > since -> db.change : 0)
}

inline forget_set() {
    set.epoch = 0; set.seq = 0; set.nonce = 0; set.change = 0; since = 0
}

inline renew_epoch() {
    if
    :: db.epoch == set.epoch -> epochs++; db.epoch = epochs; COMMITTED
    :: else
    fi
}

/* --- EpochMemory. */

#ifdef FAULT_NO_NONCE
#define SAME_NONCE(m) true
#else
#define SAME_NONCE(m) (memory[m].mark_nonce == set.nonce)
#endif

#ifdef FAULT_CONTRADICTION_IGNORED
#define CONTRADICTED(m) false
#else
#define CONTRADICTED(m) (set.epoch < memory[m].epoch || set.seq < since || (memory[m].mark_seq == set.seq && !SAME_NONCE(m)))
#endif

#define EXACTLY(m) (memory[m].state == USABLE && memory[m].epoch == set.epoch && memory[m].synced == set.seq && \
                    memory[m].mark_seq == set.seq && SAME_NONCE(m))

inline raise_to(m) {
    d_step { RAISE(memory[m].slot, set.change) }
    if
    :: since > memory[m].synced
    :: else ->
        d_step {
            if
            :: set.seq > memory[m].mark_seq -> memory[m].mark_seq = set.seq; memory[m].mark_nonce = set.nonce
            :: else
            fi
        }
        d_step { RAISE(memory[m].synced, set.seq) }
    fi
}

/* --- ChangeClock::sync: rounds of State::sync_once. */

inline replace() {
    d_step { since = 0; changes_since() }
    d_step {
        if
        :: root == m ->
            made++;
            assert(made < MEMORIES);
            memory[made].epoch = set.epoch;
            memory[made].synced = set.seq;
            memory[made].mark_seq = set.seq;
            memory[made].mark_nonce = set.nonce;
            memory[made].slot = set.change;
#ifdef FAULT_SETTLED_AT_ONCE
            memory[made].state = USABLE;
#endif
            root = made
        :: else
        fi
    }
}

#ifdef RAW
#define SEE looks = unseen
#define SEEN unseen = unseen && !looks; looks = 0
#else
#define SEE skip
#define SEEN skip
#endif

/* The root, the state and synced_seq are loaded in one step: in that order nothing is lost by it, state and synced_seq only grow. */
inline sync() {
    again = 1;
    do
    :: again ->
        d_step { m = root; was_broken = (m != 0 && memory[m].state == BROKEN); since = memory[m].synced; SEE }
        d_step { changes_since() }
        if
        :: m == 0 || set.epoch > memory[m].epoch -> replace()
        :: m != 0 && set.epoch <= memory[m].epoch ->
            d_step { contradicted = CONTRADICTED(m) }
            if
            :: contradicted || was_broken ->
                memory[m].state = BROKEN;
                d_step { renew_epoch() }
                replace()
            :: !contradicted && !was_broken ->
                raise_to(m);
                d_step {
                    if
                    :: memory[m].state == UNSETTLED -> memory[m].state = USABLE
                    :: else
                    fi;
                    again = 0
                }
            fi
        fi
    :: atomic { !again -> m = 0; was_broken = 0; contradicted = 0; forget_set(); SEEN; break }
    od
}

/* ChangeClock::publish: what is named later than this look at the root is settled by a sync() that sees the commit. */
inline publish() {
    atomic {
        m = root;
        contradicted = (m != 0 && (set.epoch != memory[m].epoch || CONTRADICTED(m)));
        if
        :: contradicted -> memory[m].state = BROKEN
        :: else
        fi
    }
    if
    :: m != 0 && !contradicted -> raise_to(m)
    :: m == 0 || contradicted
    fi;
    atomic { m = 0; contradicted = 0; forget_set() }
}

/* --- Writers. `seen` is a Reading: a memory, whose epoch never changes, and what synced_seq was. */

inline read_clock() {
    seen = root;
    seen_synced = memory[seen].synced
}

#define WENT_BACK (db.epoch != memory[seen].epoch || db.seq < seen_synced)

inline count_change(is_ours) {
    db.seq++;
    events++;
    db.nonce = events;
    if
    :: is_ours -> db.change = db.seq; db.data = events
    :: else
    fi;
    COMMITTED
}

#ifdef FAULT_WRITER_NEVER_LOOKS_BACK
#define FORGETFUL_WRITER true
#else
#define FORGETFUL_WRITER false
#endif

#if defined(RAW) && !defined(FAULT_WRITTEN_BEFORE_A_LOOK)
#define MAY_WRITE !unseen
#else
#define MAY_WRITE true
#endif

/* Three attempts, as in the code; more changes of the epoch than that don't happen here. */
inline write() {
    d_step { read_clock(); attempts = 2 }
    do
    :: atomic { MAY_WRITE && (!WENT_BACK || FORGETFUL_WRITER) ->
        if
        :: count_change(1); number = db.nonce
        :: count_change(0)
        fi;
        since = seen_synced;
        changes_since();
        break
       }
    :: WENT_BACK && !FORGETFUL_WRITER && attempts > 0 -> sync(); atomic { read_clock(); attempts-- }
    :: WENT_BACK && !FORGETFUL_WRITER && attempts == 0 -> goto gave_up
    od;
    publish();
    RAISE(acknowledged, number);
gave_up:
    atomic { number = 0; seen = 0; seen_synced = 0; attempts = 0 }
}

proctype Writer(bit mine; byte writes) {
    Set set;
    byte since, m;
    byte seen, seen_synced, attempts;
    byte number;
    bit again, was_broken, looks, contradicted;
    {
        do
        :: writes > 0 -> writes--; write()
        :: writes == 0 -> break
        od
    } UNTIL_KILLED
}

proctype Shell(bit mine; byte writes) {
    {
        do
        :: atomic { writes > 0 && MAY_WRITE ->
            writes--;
            if
            :: count_change(0)
            :: count_change(1)
            fi
           }
        :: writes == 0 -> break
        od
    } UNTIL_KILLED
}

#if FOLLOWERS > 0
proctype Follower(bit mine) {
    Set set;
    byte since, m;
    byte looked;
    bit again, was_broken, looks, contradicted;
    {
end:    do
        :: d_step { looked != version || memory[root].state != USABLE -> looked = version } sync()
        od
    } UNTIL_KILLED
}
#endif

/* --- Readers. */

inline snapshot() {
    position.epoch = db.epoch;
    position.seq = db.seq;
    data = db.data
}

/* Store::read: back to the start if the snapshot is of another history than the Reading, three times at most. Then the host catches up. */
inline read_snapshot() {
    attempts = 2;
    do
    :: d_step { read_clock() }
       d_step { snapshot(); went_back = WENT_BACK }
       if
       :: went_back && attempts > 0 -> attempts--; sync()
       :: !went_back || attempts == 0 -> break
       fi
    od;
    atomic { attempts = 0; went_back = 0; behind = position.seq > seen_synced }
    if
    :: atomic { behind -> read_clock(); behind = (memory[seen].epoch != position.epoch || seen_synced < position.seq) }
    :: !behind
    fi;
    if
    :: behind -> sync()
    :: !behind
    fi;
    behind = 0
}

/* When the data was last current; and since when it is at least, if it is shown to a request with this floor. */
#define LAST_CURRENT(d) (d == COPY && restored_at > 0 -> restored_at : d)
#define SHOWN_OF(d, least) (d == COPY && least > COPY -> restored_at : d)

inline answer() {
    assert(LAST_CURRENT(data) >= floor);
    RAISE(shown, SHOWN_OF(data, floor));
    floor = 0; data = 0; label = 0; valid = 0; seen = 0; seen_synced = 0; position.epoch = 0; position.seq = 0
}

proctype Reader(bit mine; byte requests) {
    Set set;
    Set position;
    byte since, m;
    byte seen, seen_synced, attempts;
    byte floor, data, label;
    bit valid, went_back, behind, again, was_broken, looks, contradicted;
    {
        do
        :: requests > 0 ->
            d_step { requests--; floor = MAX(acknowledged, shown); read_clock() }
            d_step {
                valid = seen != 0 && cached.there && cached.epoch == memory[seen].epoch;
                if
                :: valid -> label = cached.label; data = cached.data
                :: else
                fi
            }
            d_step { valid = valid && memory[seen].state == USABLE && label <= memory[seen].synced }
            if
            :: d_step { valid && memory[seen].slot <= label -> answer() }
            :: else ->
                read_snapshot();
                atomic {
                    read_clock();
                    valid = (seen != 0 && position.epoch == memory[seen].epoch && position.seq <= seen_synced &&
                             memory[seen].state == USABLE)
                }
                atomic {
                    if
                    :: valid ->
                        cached.there = 1; cached.epoch = position.epoch; cached.label = position.seq; cached.data = data
                    :: skip
                    fi;
                    d_step { answer() }
                }
            fi
        :: requests == 0 -> break
        od
    } UNTIL_KILLED
}

/* --- Restored. */

inline bring_back(its_epoch) {
    db.epoch = its_epoch;
    db.seq = COPY;
    db.nonce = COPY;
    db.change = COPY;
    db.data = COPY;
    events++;
    restored_at = events;
    COMMITTED
}

#ifndef RESTART
proctype Restore(bit mine) {
    Set set;
    byte since, m;
    bit again, was_broken, looks, contradicted;
#if defined(LOST)
    root = 0
#elif defined(RAW)
#ifdef FAULT_RESTORED_BEFORE_A_SYNC
    d_step { bring_back(1); unseen = 1 }
#else
    d_step { memory[root].synced == db.seq -> bring_back(1); unseen = 1 }
#endif
#else
    d_step {
#ifdef FAULT_RESTORED_IN_OLD_EPOCH
        bring_back(1)
#else
        epochs++;
        bring_back(epochs)
#endif
    }
    sync();
    RAISE(acknowledged, restored_at)
#endif
}
#else

/* ChangeClock::open by the first process of the host: nobody else takes a step before it is done. Who is killed on the way leaves things
 * as they are to the next first one. */
inline open_first() {
    do
    :: d_step { m = root; since = memory[m].synced }
       d_step { changes_since() }
#ifndef FAULT_OPENED_WITHOUT_COMPARING
       d_step {
           if
           :: m == 0 || !EXACTLY(m) || other_boot -> renew_epoch()
           :: else
           fi
       }
#endif
       if
       :: sync(); break
       :: killed == 0 -> killed = 1
       fi
    od
}

/* init, this process, and the claim. */
#ifdef WITHOUT_LAST_LOOK
#define SURVIVORS 2
#else
#define SURVIVORS 3
#endif

proctype Restart() {
    Set set;
    byte since, m;
    byte writes_then;
    bit again, was_broken, looks, contradicted, killed, other_boot;
    generation = 1;
    atomic { _nr_pr == SURVIVORS ->
        if
        :: skip
        :: d_step { bring_back(1); acknowledged = restored_at }
        fi;
        writes_then = 2;
        do
        :: writes_then > 0 -> writes_then--;
            if
            :: count_change(0)
            :: count_change(1); acknowledged = db.nonce
            fi
        :: break
        od;
        writes_then = 0;
        if
        :: skip
        :: other_boot = 1
        :: root = 0
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
    atomic {
        d_step {
            db.epoch = 1;
            count_change(1);
            root = 1;
            made = 1;
            memory[1].epoch = 1;
            memory[1].state = USABLE;
            memory[1].synced = 1;
            memory[1].mark_seq = 1;
            memory[1].mark_nonce = 1;
            memory[1].slot = 1;
            acknowledged = 1
        }
#ifdef RESTART
        run Restart();
#else
        run Restore(0);
#endif
#if FOLLOWERS > 0
        run Follower(0);
#endif
#if SHELL_WRITES > 0
        run Shell(0, SHELL_WRITES);
#endif
        run Writer(0, WRITES);
        run Reader(0, REQUESTS)
    }
}

/* --- (b) What is valid once one more sync() has run by itself: nothing, if it has to renew the epoch. */

#define HERE memory[root]
#if defined(FAULT_CONTRADICTION_IGNORED)
#define CONTRADICTED_THEN false
#elif defined(FAULT_NO_NONCE)
#define CONTRADICTED_THEN (db.epoch < HERE.epoch || db.seq < HERE.synced)
#else
#define CONTRADICTED_THEN (db.epoch < HERE.epoch || db.seq < HERE.synced || (HERE.mark_seq == db.seq && HERE.mark_nonce != db.nonce))
#endif
#define RENEWED_THEN (root != 0 && db.epoch <= HERE.epoch && (HERE.state == BROKEN || CONTRADICTED_THEN))
#define REPLACED_THEN (root == 0 || db.epoch > HERE.epoch)
#define SLOT_THEN (REPLACED_THEN || (db.change > HERE.synced && db.change > HERE.slot) -> db.change : HERE.slot)
#define SYNCED_THEN (REPLACED_THEN || db.seq > HERE.synced -> db.seq : HERE.synced)
#define VALID_THEN (cached.there && !RENEWED_THEN && cached.epoch == db.epoch && cached.label <= SYNCED_THEN && SLOT_THEN <= cached.label)

#ifndef WITHOUT_LAST_LOOK
never {
    do
    :: assert(!VALID_THEN || cached.data == db.data)
    od
}
#endif
