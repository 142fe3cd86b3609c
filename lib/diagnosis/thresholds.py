"""Every number that a verdict turns on, once."""

from __future__ import annotations

from datetime import timedelta

# How long after an initiation its text may still be on the way to Twilio before it counts as missing.
SEND_SETTLES = timedelta(minutes=10)
# A text belongs to an initiation of the same number if Twilio got it within this time of it.
TEXT_FOLLOWS_WITHIN = timedelta(minutes=5)
# Later than that, and within this time of it, a text is late; still later ones may be about something else.
LATE_TEXT_WITHIN = timedelta(hours=1)
# Of a text of the same number this long after an initiation, nobody can tell that it is not about that booking.
TEXT_MAY_BE_OF = timedelta(days=1)
# The clocks of Twilio and of the database may differ by this much.
CLOCK_SKEW = timedelta(minutes=1)
# The promise of the flow, as the tiles count it: a text within a minute.
PROMPT_TEXT = timedelta(minutes=1)
# Twilio's list lags: a text younger than this is no evidence of a gap.
RECORDING_SETTLES = timedelta(minutes=3)
# UK networks answer within minutes; before that, no receipt means nothing.
DELIVERY_SETTLES = timedelta(minutes=30)
# People who open their link confirm within this time, or rarely at all.
CONFIRM_SETTLES = timedelta(minutes=30)
# Texts that have not left Twilio's queue, or have no receipt, for longer than this are stuck.
STUCK_QUEUED = timedelta(hours=1)
STUCK_SENT = timedelta(hours=2)
# More texts than this to one number is a nuisance to the customer and money to the owner.
OVER_SENT_PER_HOUR = 3
OVER_SENT_PER_DAY = 8
DUPLICATE_WITHIN = timedelta(minutes=10)
# Failures in a row, to different numbers: chance alone makes two in 0.25 % and three in 0.01 % of cases.
FAILURES_TO_WARN = 2
FAILURES_TO_FAIL = 3
# So many good cases in a row, and nothing bad since, end an outage.
OUTAGE_OVER_AFTER = 5
# Even a healthy flow loses this share of its texts: wrong numbers, phones that are off.
USUAL_FAILURES = 0.05
# So many of the newest texts are looked at, and so unlikely must their failures be by chance alone.
RECENT_TEXTS = 20
FAILURES_P_TO_WARN = 0.02
FAILURES_P_TO_FAIL = 0.002
# A silence is unlikely enough to mention at 1 %, given the business's own usual demand.
SILENCE_P = 0.01
# A share whose worst and best case differ by more than this says nothing: the receipts are missing.
RECEIPT_GAP = 0.20
# A job still waiting or working this long after it was due is stuck.
JOB_STUCK = timedelta(minutes=15)
# Fewer days of balance left than this is worth a warning.
LOW_BALANCE_DAYS = 7
# Vercel moves hostnames to a new build, and begins one for a push, within these times.
ALIAS_SETTLES = timedelta(minutes=3)
PUSH_SETTLES = timedelta(minutes=2)
# A build is slow at this many times the median of so many recent ones.
SLOW_BUILD = 2.0
RECENT_BUILDS = 10
# Not everybody who opens the link confirms. So unlikely must a run of those who do not be, given the others.
CONFIRM_P_TO_DOUBT = 0.1
CONFIRM_P_TO_WARN = 0.01
# Openers without a single confirmation before the page itself is suspected.
OPENERS_WITHOUT_CONFIRM = 3
# This share of people has usually opted out; so many of them, and so unlikely by chance, are worth a look.
USUAL_OPT_OUTS = 0.02
RECENT_PEOPLE = 200
OPT_OUTS_TO_WARN = 3
OPT_OUTS_P = 0.01
