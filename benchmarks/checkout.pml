/*
 * The checkout saga as a model for SPIN: the orchestrator of the zoo and its participants, and the faults of the
 * harness that a model can have. At most FAULTS of them strike. Messages are lost, sent twice, late in either order;
 * answers are lost, doubled, or come after the timeout; a request is refused by the business, or the participant is
 * unavailable; the orchestrator crashes before and after each write, after each request, after each answer.
 *
 * What it leaves out, since the model has no such thing: time and backoff, a second owner, payloads and balances,
 * torn writes, stale reads, and the code of an orchestrator itself.
 *
 * BUG is one of the mistakes of the hand-written state machine: NO_KEY, IN_MEMORY, STEP_OMITTED.
 */
#ifndef FAULTS
#define FAULTS 2
#endif

#define STEPS 3
#define DO 0
#define UNDO 1

mtype = { none, ok, refused, unavailable };

/* Durable: the orchestrator's log. `refusal` is the step that the business refused. */
bool created, compensating, ended;
bool intent[STEPS], done[STEPS], undone[STEPS];
byte refusal = STEPS;

/* Durable: what the participants remember by key, and how often each step took effect and was undone. */
mtype did[STEPS] = none, undid[STEPS] = none;
byte effects[STEPS], undos[STEPS];

/* On their way: attempt, step, direction; attempt, answer. A late one arrives whenever it likes. */
chan requests = [FAULTS + 2] of { byte, byte, bit };
chan late = [FAULTS + 1] of { byte, byte, bit };
chan answers = [FAULTS + 3] of { byte, mtype };

byte attempt;
bool answered_never; /* the attempt lost its request or its answer, or may get it too late */
byte struck;
bool told, told_completed;

#define MAY (struck < FAULTS)
#define STRIKE MAY -> struck++
#define MAY_CRASH if :: STRIKE; goto crash :: true fi
#define WRITE(what) atomic { MAY_CRASH; what; MAY_CRASH }

active proctype Orchestrator()
{
  byte step, number;
  bit direction;
  mtype answer;

  WRITE(created = true);

next:
  skip; /* what the log says is to be done, also after a restart */
  d_step {
    step = STEPS;
    if
    :: ended -> skip
    :: !ended && !compensating ->
      direction = DO;
      for (number : 0 .. STEPS - 1) {
        if
        :: step == STEPS && !done[number] -> step = number
        :: else
        fi
      }
    :: !ended && compensating ->
      direction = UNDO;
      for (number : 0 .. STEPS - 1) {
        if
        :: intent[number] && !undone[number] && number != refusal -> step = number
        :: else
        fi
      }
    fi;
    number = 0
  }
  if
  :: ended -> goto tell
  :: !ended && step == STEPS -> WRITE(ended = true); goto tell
  :: else
  fi;
  if
  :: direction == DO && !intent[step] -> WRITE(intent[step] = true)
  :: else
  fi;

ask:
  atomic {
    attempt++;
    answered_never = false;
    assert(intent[step]); /* I12, write ahead */
    if
    :: requests!attempt, step, direction
    :: STRIKE; answered_never = true                                             /* lost request */
    :: STRIKE; requests!attempt, step, direction; late!attempt, step, direction  /* (delayed) duplicate */
    :: STRIKE; late!attempt, step, direction; answered_never = true              /* late request */
    fi;
    MAY_CRASH
  }
  do
  :: atomic { answers?number, answer ->
       if
       :: number == attempt -> number = 0; MAY_CRASH; break
       :: else -> number = 0; answer = none /* of an earlier attempt */
       fi
     }
  :: atomic { answered_never -> answer = none; break }
  :: atomic { STRIKE; answer = none; break }                                     /* the timeout is sooner */
  od;
  if
  :: answer == ok && direction == DO -> WRITE(done[step] = true)
  :: answer == ok && direction == UNDO -> WRITE(undone[step] = true)
  :: answer == refused && direction == DO -> WRITE(refusal = step; compensating = true)
#ifdef STEP_OMITTED
  :: answer == none && direction == DO -> WRITE(refusal = step; compensating = true)
#endif
  :: else -> answer = none; goto ask
  fi;
  answer = none;
  goto next;

crash:
  atomic {
    answer = none; number = 0; answered_never = false;
#ifdef IN_MEMORY
    goto gone
#endif
    if
    :: created -> goto next
    :: else -> goto gone /* the client was promised nothing */
    fi
  }

tell:
  atomic { assert(!told || told_completed == !compensating); told = true; told_completed = !compensating } /* I15 */

gone:
  skip
}

active proctype Participants()
{
  byte step, number;
  bit direction;
  mtype answer;

end:
  do
  :: atomic { requests?number, step, direction -> goto handle }
  :: atomic { late?number, step, direction -> goto handle }
  od;

handle:
  atomic {
    if
    :: STRIKE; answer = none                                                     /* crash before the effect */
    :: STRIKE; answer = unavailable
    :: MAY && direction == DO && did[step] == none && undid[step] == none ->
      struck++; did[step] = refused; answer = refused                             /* by the business */
    :: direction == DO ->
      if
#ifndef NO_KEY
      :: did[step] != none -> answer = did[step]
#endif
      :: undid[step] != none -> answer = refused; did[step] = refused            /* undone already */
      :: else ->
        effects[step]++;
        assert(effects[step] <= 1);                                              /* I1, at most once */
        did[step] = ok; answer = ok
      fi
    :: direction == UNDO ->
      if
#ifndef NO_KEY
      :: undid[step] != none -> answer = ok
#endif
      :: else ->
        if
        :: effects[step] > undos[step] || did[step] == ok ->
          undos[step]++;
          assert(undos[step] <= 1);                                              /* I9 */
          assert(step == STEPS - 1 || effects[step + 1] == undos[step + 1])      /* I4, reverse order */
        :: else
        fi;
        undid[step] = ok; answer = ok
      fi
    fi;
    if
    :: answer == none -> if :: number == attempt -> answered_never = true :: else fi
    :: answer != none && nfull(answers) -> answers!number, answer
    :: answer != none && nfull(answers) && MAY -> struck++; answers!number, answer; answers!number, answer
    :: answer != none && MAY -> struck++; if :: number == attempt -> answered_never = true :: else fi /* lost ack */
    fi;
    answer = none; number = 0; step = 0; direction = DO;
    goto end
  }
}

active proctype Judge()
{
  byte step;

  timeout -> /* nobody can do anything any more */
  d_step {
    assert(!created || ended);                                                   /* I13, nobody is forgotten */
    assert(!created || told);                                                    /* I16, client truth */
    for (step : 0 .. STEPS - 1) {
      assert(compensating || !created || effects[step] == 1 && undos[step] == 0) /* I2, all or nothing */
      assert(!compensating || effects[step] == undos[step])                      /* I5, nothing is left over */
    }
  }
}
