-- title = "Let the database count for Switchboard"
-- button = "Install the functions"
-- table = "public"
-- cures = []
-- lock = "none that anybody waits for: functions are added, no table is touched"
-- lock_timeout = "2s"
-- statement_timeout = "15s"
-- verify = "select count(*) = 5 from pg_catalog.pg_proc p where p.pronamespace = 'public'::pg_catalog.regnamespace and p.proname in ('switchboard_bookings', 'switchboard_texts', 'switchboard_demand', 'switchboard_reconcile', 'switchboard_indexes') and pg_catalog.obj_description(p.oid, 'pg_proc') = 'Switchboard reporting 2' and not p.prosecdef and pg_catalog.has_function_privilege('service_role', p.oid, 'execute') and not pg_catalog.has_function_privilege('anon', p.oid, 'execute') and not pg_catalog.has_function_privilege('authenticated', p.oid, 'execute')"
-- functions = ["switchboard_bookings", "switchboard_texts", "switchboard_demand", "switchboard_reconcile", "switchboard_indexes"]
-- undone_by = "reporting_removed"

-- What the desk counts in the database instead of reading row by row. Each answers with one JSON value, which the
-- Data API's row cap cannot cut. They read as whoever asks (so row level security holds), change nothing, and only
-- the service role may ask them. `own` are phones of the business itself: tests, and no business. A change here wants a new number in the comments, in `verify` and in the client.

-- Bookings initiated in [begins, ends): for each bucket and for each of the newest events how many there are, and how
-- far they came. `metadata` is null for everybody where the column is missing; `has_metadata` tells that apart: inside
-- the lateral query the name means the table's own column if there is one, and the stand-in beside it if not.
-- An app that wrote it with JSON.stringify stored a text that holds JSON. It is searched as a text: a cast would fail
-- over one that holds none.
-- Buckets are few. The planner takes every instant for one of its own and would sort all rows: so no sort, here and below.
create or replace function public.switchboard_bookings(
    begins timestamptz, ends timestamptz, bucket_seconds integer, own text[]
)
returns jsonb
language sql stable security invoker parallel safe
set search_path = '' set enable_sort = off
as $$
    with reached as (
        select p.bucket, p.event_id, count(*) as initiated, count(p.sid) as stored,
            count(*) filter (where p.sid is null and (p.metadata = '{}' or p.as_text = '{}')) as empty,
            count(*) filter (where p.sid is null and p.metadata <> '{}' and p.as_text is distinct from '{}') as without_sms,
            count(*) filter (where p.confirmed) as confirmed, count(*) filter (where p.booked) as booked,
            max(p.created_at) as last_at
        from (select null::jsonb as metadata) as absent
        cross join lateral (
            select created_at, date_bin(make_interval(secs => bucket_seconds), created_at, begins) as bucket, event_id,
                metadata, case when jsonb_typeof(metadata) = 'string' then btrim(metadata #>> '{}') end as as_text,
                nullif(case
                    when jsonb_typeof(metadata) <> 'string' then metadata -> 'initial_sms' ->> 'message_sid'
                    else substring(metadata #>> '{}' from '"initial_sms"\s*:\s*\{[^{}]*"message_sid"\s*:\s*"([^"]+)"')
                end, '') as sid,
                confirmed_at is not null or booking_id is not null as confirmed, booking_id is not null as booked
            from public.pending_bookings
            where created_at >= begins and created_at < ends and (mobile_number <> all (own)) is not false
        ) as p
        group by p.bucket, p.event_id
    ),
    counted as (
        select grouping(bucket) as by_event, bucket, event_id, sum(initiated) as initiated, sum(stored) as stored,
            sum(empty) as empty, sum(without_sms) as without_sms, sum(confirmed) as confirmed, sum(booked) as booked, max(last_at) as last_at
        from reached
        group by grouping sets ((bucket), (event_id))
    )
    select jsonb_build_object(
        'has_metadata', exists (
            select from pg_catalog.pg_attribute
            where attrelid = 'public.pending_bookings'::regclass and attname = 'metadata' and not attisdropped
        ),
        -- Not joined with the bookings: that would take longer than all the rest.
        'links_opened', (
            select count(*) from public.short_links
            where created_at >= begins and created_at < ends and link_type = 'booking_confirmation' and click_count > 0
        ),
        'buckets', coalesce(
            (select jsonb_agg(to_jsonb(c) - 'by_event' - 'event_id' order by c.bucket)
             from counted as c where c.by_event = 0), '[]'),
        'events', coalesce(
            (select jsonb_agg(to_jsonb(e) - 'by_event' - 'bucket' order by e.last_at desc)
             from (select * from counted where by_event = 1 order by last_at desc limit 200) as e), '[]')
    )
$$;

-- Outbound texts that the database has a row of, for each bucket, status (Twilio's word where it is known) and error.
create or replace function public.switchboard_texts(
    begins timestamptz, ends timestamptz, bucket_seconds integer, own text[]
)
returns jsonb
language sql stable security invoker parallel safe
set search_path = '' set enable_sort = off
as $$
    select coalesce(jsonb_agg(to_jsonb(c) order by c.bucket), '[]')
    from (
        select date_bin(make_interval(secs => bucket_seconds), created_at, begins) as bucket,
            coalesce(twilio_status, status) as status, error_code, count(*) as texts, max(created_at) as last_at
        from public.messages
        where direction = 'outbound' and created_at >= begins and created_at < ends
            and (to_number <> all (own)) is not false
        group by 1, 2, 3
    ) as c
$$;

-- When people asked to book: the last moment in each bucket, and how many they were.
create or replace function public.switchboard_demand(
    begins timestamptz, ends timestamptz, bucket_seconds integer, own text[]
)
returns jsonb
language sql stable security invoker parallel safe
set search_path = '' set enable_sort = off
as $$
    select coalesce(jsonb_agg(jsonb_build_object('created_at', c.last_at, 'initiated', c.initiated)), '[]')
    from (
        select max(created_at) as last_at, count(*) as initiated
        from public.pending_bookings
        where created_at >= begins and created_at < ends and (mobile_number <> all (own)) is not false
        group by date_bin(make_interval(secs => bucket_seconds), created_at, begins)
    ) as c
$$;

-- Where the database knows each of these texts from, whenever that was: a row in messages, a booking's metadata.
-- Without the column `with_booking` is null: unknown, which is not no.
create or replace function public.switchboard_reconcile(sids text[])
returns jsonb
language sql stable security invoker parallel safe
set search_path = ''
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
        'sid', asked.sid,
        'in_messages', exists (select from public.messages as m where m.message_sid = asked.sid),
        'with_booking', case when exists (
            select from pg_catalog.pg_attribute
            where attrelid = 'public.pending_bookings'::regclass and attname = 'metadata' and not attisdropped
        ) then asked.sid = any (array(
            select kept.sid
            from (select null::jsonb as metadata) as absent
            cross join lateral (
                select case
                    when jsonb_typeof(metadata) <> 'string' then metadata -> 'initial_sms' ->> 'message_sid'
                    else substring(metadata #>> '{}' from '"initial_sms"\s*:\s*\{[^{}]*"message_sid"\s*:\s*"([^"]+)"')
                end as sid
                from public.pending_bookings
            ) as kept
            where kept.sid = any (sids)
        )) end
    )), '[]')
    from (select distinct unnest(sids) as sid) as asked
$$;

-- Columns that the desk and these functions search by and that no index begins with, where there are many rows.
create or replace function public.switchboard_indexes(many_rows integer)
returns jsonb
language sql stable security invoker parallel safe
set search_path = ''
as $$
    select coalesce(jsonb_agg(wanted.tab || '.' || wanted.col order by wanted.tab, wanted.col), '[]')
    from (values
        ('api_usage', 'created_at'), ('bookings', 'created_at'), ('messages', 'created_at'),
        ('messages', 'message_sid'), ('pending_bookings', 'created_at'), ('short_links', 'created_at'),
        ('webhook_logs', 'processed_at')
    ) as wanted (tab, col)
    join pg_catalog.pg_class as t
        on t.relname = wanted.tab and t.relnamespace = 'public'::pg_catalog.regnamespace and t.relkind in ('r', 'p')
    join pg_catalog.pg_attribute as a on a.attrelid = t.oid and a.attname = wanted.col and not a.attisdropped
    where t.reltuples >= many_rows and not exists (
        select from pg_catalog.pg_index as i where i.indrelid = t.oid and i.indkey[0] = a.attnum and i.indisvalid
    )
$$;

comment on function public.switchboard_bookings(timestamptz, timestamptz, integer, text[]) is 'Switchboard reporting 2';
comment on function public.switchboard_texts(timestamptz, timestamptz, integer, text[]) is 'Switchboard reporting 2';
comment on function public.switchboard_demand(timestamptz, timestamptz, integer, text[]) is 'Switchboard reporting 2';
comment on function public.switchboard_reconcile(text[]) is 'Switchboard reporting 2';
comment on function public.switchboard_indexes(integer) is 'Switchboard reporting 2';

revoke all on function
    public.switchboard_bookings(timestamptz, timestamptz, integer, text[]),
    public.switchboard_texts(timestamptz, timestamptz, integer, text[]),
    public.switchboard_demand(timestamptz, timestamptz, integer, text[]),
    public.switchboard_reconcile(text[]),
    public.switchboard_indexes(integer)
from public, anon, authenticated;
grant execute on function
    public.switchboard_bookings(timestamptz, timestamptz, integer, text[]),
    public.switchboard_texts(timestamptz, timestamptz, integer, text[]),
    public.switchboard_demand(timestamptz, timestamptz, integer, text[]),
    public.switchboard_reconcile(text[]),
    public.switchboard_indexes(integer)
to service_role;
