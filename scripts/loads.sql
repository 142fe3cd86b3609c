-- Thirty days with %(texts)s texts and %(bookings)s bookings, for scripts/bench: written where they are read, in seconds.
-- Every text of a booking is its n-th by time, so that bookings, links, texts and receipts fit each other.

truncate public.pending_bookings, public.bookings, public.messages, public.short_links, public.webhook_logs,
    public.api_usage, public.background_jobs, public.message_delivery_status, public.short_link_clicks, twin.texts;

create temporary table text_rows on commit drop as
select n, 'SM' || lpad(to_hex(n), 32, '0') as sid, '+44740' || lpad((n %% 9000000)::text, 7, '0') as number,
    now() - interval '12 minutes' - n * (interval '30 days' - interval '30 minutes') / %(texts)s as at,
    case when n %% 200 = 0 then 'undelivered' else 'delivered' end as ended,
    n %% (%(texts)s / %(bookings)s) = 0 as of_booking, n / (%(texts)s / %(bookings)s) as booking
from generate_series(1, %(texts)s) as n;

insert into public.pending_bookings (
    event_id, mobile_number, seats, created_at, expires_at, confirmed_at, booking_id, metadata
)
select event.id, number, 2, at - interval '2 seconds', at + interval '24 hours',
    case when booking %% 5 < 3 then at + interval '4 minutes' end, null,
    jsonb_build_object('initial_sms', jsonb_build_object(
        'message_sid', sid, 'body', 'Confirm your booking: https://book.example/l/abcdefg', 'from_number', 'INN',
        'to_number', number, 'segments', 1, 'cost_usd', 0.04, 'sent_at', at
    ))
from text_rows cross join (select id from public.events order by id limit 1) as event
where of_booking;

with made as (
    insert into public.bookings (customer_id, event_id, seats, created_at)
    select customer.id, pending.event_id, 2, pending.confirmed_at
    from public.pending_bookings as pending cross join (select id from public.customers order by id limit 1) as customer
    where pending.confirmed_at is not null
    returning id, created_at
)
update public.pending_bookings as pending set booking_id = made.id from made where made.created_at = confirmed_at;

insert into public.short_links (short_code, destination_url, link_type, click_count, created_at)
select left(replace(token::text, '-', ''), 16), 'https://book.example/booking-confirmation/' || token, 'booking_confirmation',
    case when confirmed_at is not null or right(token::text, 1) < '8' then 1 else 0 end, created_at
from public.pending_bookings;

insert into public.api_usage (endpoint, method, status_code, response_time_ms, created_at)
select '/api/bookings/initiate', 'POST', 201, 240, created_at from public.pending_bookings;

insert into public.messages (
    customer_id, direction, message_sid, body, status, twilio_status, error_code, from_number, to_number, segments,
    cost_usd, created_at, sent_at
)
select customer.id, 'outbound', sid, 'Confirm your booking: https://book.example/l/abcdefg', 'sent', ended,
    case when ended = 'undelivered' then '30003' end, 'INN', number, 1, 0.04, at, at
from text_rows cross join (select id from public.customers order by id limit 1) as customer;

insert into public.webhook_logs (status, message_sid, params, processed_at)
select said.status, sid, jsonb_build_object('MessageStatus', ended), at + interval '9 seconds'
from text_rows cross join (values ('received'), ('success')) as said (status)
where at > now() - interval '2 days';

insert into twin.texts (
    sid, to_number, from_number, body, segments, price, created_at, sending_at, sent_at, done_at, billed_at,
    final_status, error_code
)
select sid, number, 'INN', 'Confirm your booking: https://book.example/l/abcdefg', 1, -0.0463, at, at, at,
    at + interval '8 seconds', at + interval '8 seconds', ended, case when ended = 'undelivered' then 30003 end
from text_rows;
