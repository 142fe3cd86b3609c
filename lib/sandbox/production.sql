-- The booking database as it is in production: tables, row level security, grants, migration history.
-- Run by `postgres`, their owner. It drops what was there, so running it again is a reset; rows and what
-- differs from one scenario to the next come from elsewhere.

drop schema if exists public cascade;
drop schema if exists supabase_migrations cascade;
drop schema if exists platform cascade;
create schema public;
create schema supabase_migrations;
create schema platform;

grant usage on schema public to anon, authenticated, service_role;
-- Supabase grants everything on new tables to all three; row level security is what keeps strangers out.
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;

-- Who books what ------------------------------------------------------------------------------------------

create table public.api_keys (
    id uuid primary key default gen_random_uuid(),
    key_hash text not null unique,
    name text not null,
    permissions jsonb default '[]',
    rate_limit integer default 1000,
    is_active boolean default true,
    last_used_at timestamptz,
    created_at timestamptz default now()
);

create table public.customers (
    id uuid primary key default gen_random_uuid(),
    first_name text not null,
    last_name text not null,
    mobile_number text not null,
    sms_opt_in boolean default true,
    sms_delivery_failures integer default 0,
    last_sms_failure_reason text,
    last_successful_sms_at timestamptz,
    messaging_status text default 'active'
        check (messaging_status in ('active', 'suspended', 'invalid_number', 'opted_out')),
    consecutive_failures integer default 0,
    created_at timestamptz default now()
);
create index on public.customers (mobile_number);

create table public.events (
    id uuid primary key default gen_random_uuid(),
    name text not null,
    date date not null,
    time text not null,
    capacity integer,
    event_status varchar default 'scheduled',
    slug text not null unique,
    created_at timestamptz not null default now()
);

create table public.bookings (
    id uuid primary key default gen_random_uuid(),
    customer_id uuid not null references public.customers on delete cascade,
    event_id uuid not null references public.events on delete cascade,
    seats integer check (seats >= 0),
    notes text,
    created_at timestamptz not null default now()
);
create index on public.bookings (event_id);
create index on public.bookings (created_at);

create table public.pending_bookings (
    id uuid primary key default gen_random_uuid(),
    token uuid not null unique default gen_random_uuid(),
    event_id uuid not null references public.events on delete cascade,
    mobile_number varchar(20) not null,
    customer_id uuid references public.customers on delete set null,
    seats integer,
    expires_at timestamptz not null default now() + interval '24 hours',
    confirmed_at timestamptz,
    booking_id uuid references public.bookings on delete set null,
    initiated_by_api_key uuid references public.api_keys on delete set null,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    metadata jsonb
);
create index on public.pending_bookings (created_at);
create index on public.pending_bookings (mobile_number);

-- Texts ---------------------------------------------------------------------------------------------------

create table public.messages (
    id uuid primary key default gen_random_uuid(),
    customer_id uuid not null references public.customers on delete cascade,
    direction text not null check (direction in ('inbound', 'outbound')),
    message_sid text not null,
    twilio_message_sid text,
    body text not null,
    status text not null,
    twilio_status text,
    error_code text,
    error_message text,
    from_number text,
    to_number text,
    message_type text default 'sms' check (message_type in ('sms', 'mms', 'whatsapp')),
    segments integer default 1 check (segments >= 1),
    cost_usd numeric(10, 4),
    price numeric(10, 4),
    price_unit text,
    -- Right only while the server's time zone is UTC, which it is.
    created_at timestamptz not null default timezone('utc', now()),
    updated_at timestamptz not null default timezone('utc', now()),
    sent_at timestamptz,
    delivered_at timestamptz,
    failed_at timestamptz,
    read_at timestamptz
);
create index on public.messages (created_at);
create index on public.messages (customer_id);
create index on public.messages (message_sid);  -- not unique: duplicates happen

create table public.message_delivery_status (
    id uuid primary key default gen_random_uuid(),
    message_id uuid not null references public.messages on delete cascade,
    status text not null,
    error_code text,
    error_message text,
    raw_webhook_data jsonb,
    created_at timestamptz not null default now()
);
create index on public.message_delivery_status (created_at);

create table public.webhook_logs (
    id uuid primary key default gen_random_uuid(),
    webhook_type text not null default 'twilio',
    status text not null,
    error_message text,
    error_details jsonb,
    params jsonb,
    body text,
    message_sid text,
    from_number text,
    to_number text,
    customer_id uuid,
    message_id uuid,
    processed_at timestamptz not null default now()
);
create index on public.webhook_logs (processed_at);

create view public.customer_messaging_health with (security_invoker) as
select customer_id, count(*) as texts, count(*) filter (where twilio_status in ('failed', 'undelivered')) as failed
from public.messages
where direction = 'outbound'
group by customer_id;

-- Links ---------------------------------------------------------------------------------------------------

create table public.short_links (
    id uuid primary key default gen_random_uuid(),
    short_code varchar(20) not null unique,
    destination_url text not null,
    link_type varchar(50) not null check (
        link_type in ('loyalty_portal', 'event_checkin', 'promotion', 'reward_redemption', 'custom',
                      'booking_confirmation')
    ),
    metadata jsonb default '{}',
    click_count integer default 0,
    created_at timestamptz default now(),
    expires_at timestamptz
);
create index on public.short_links (created_at);

create table public.short_link_clicks (
    id uuid primary key default gen_random_uuid(),
    short_link_id uuid references public.short_links on delete cascade,
    user_agent text,
    clicked_at timestamptz default now()
);
create index on public.short_link_clicks (clicked_at);

-- Logs and jobs -------------------------------------------------------------------------------------------

create table public.api_usage (
    id uuid primary key default gen_random_uuid(),
    api_key_id uuid references public.api_keys on delete cascade,
    endpoint varchar(255) not null,
    method varchar(10) not null,
    status_code integer,
    response_time_ms integer,
    created_at timestamptz default now()
);
create index on public.api_usage (created_at);

create table public.audit_logs (
    id uuid primary key default gen_random_uuid(),
    created_at timestamptz not null default now(),
    user_id uuid,
    user_email text,
    operation_type text not null,
    resource_type text not null,
    resource_id text,
    operation_status text not null check (operation_status in ('success', 'failure')),
    error_message text,
    additional_info jsonb,
    old_values jsonb,
    new_values jsonb
);
create index on public.audit_logs (created_at);

create function public.audit_logs_are_final() returns trigger language plpgsql as $$
begin
    raise exception 'audit_logs rows cannot be changed or deleted';
end $$;
create trigger audit_logs_are_final before update or delete on public.audit_logs
    for each row execute function public.audit_logs_are_final();

create table public.background_jobs (
    id uuid primary key default gen_random_uuid(),
    type varchar(100) not null,
    payload jsonb default '{}',
    status varchar(20) not null default 'pending'
        check (status in ('pending', 'processing', 'completed', 'failed')),
    attempts integer default 0,
    max_attempts integer default 3,
    scheduled_for timestamptz not null default now(),
    created_at timestamptz default now(),
    completed_at timestamptz,
    error text,
    duration_ms integer
);
create index on public.background_jobs (created_at);

-- Who sees what -------------------------------------------------------------------------------------------

create function public.user_has_permission(user_id uuid) returns boolean
    language sql stable return user_id is not null;

alter table public.api_keys enable row level security;
alter table public.api_usage enable row level security;
alter table public.audit_logs enable row level security;
alter table public.background_jobs enable row level security;
alter table public.bookings enable row level security;
alter table public.customers enable row level security;
alter table public.events enable row level security;
alter table public.message_delivery_status enable row level security;
alter table public.messages enable row level security;
alter table public.pending_bookings enable row level security;
alter table public.short_link_clicks enable row level security;
alter table public.short_links enable row level security;
alter table public.webhook_logs enable row level security;

-- A publishable key sees every pending booking, none of the texts and logs, parts of events and customers,
-- and is refused on bookings. Only the last of these is an error.
create policy "Anyone can view pending bookings" on public.pending_bookings for select using (true);
create policy "Staff can view messages" on public.messages for select to authenticated using (true);
create policy "Webhooks can be logged" on public.webhook_logs for insert with check (true);
create policy "Permitted users can view audit logs" on public.audit_logs for select using (
    public.user_has_permission(
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
    )
);
create policy "Staff can view bookings" on public.bookings for select to authenticated using (true);
create policy "Events with pending bookings" on public.events for select using (
    exists (select from public.pending_bookings p where p.event_id = events.id)
);
create policy "Customers with pending bookings" on public.customers for select using (
    exists (select from public.pending_bookings p where p.customer_id = customers.id)
);
revoke all on public.bookings from anon;
revoke all on public.events, public.customers from anon;
grant select on public.events, public.customers to anon;

-- Migration history, as Supabase's command line keeps it --------------------------------------------------

create table supabase_migrations.schema_migrations (
    version text primary key,
    statements text[],
    name text
);
insert into supabase_migrations.schema_migrations (version, name, statements) values
    ('20250601090000', 'initial_schema', null),
    ('20250714220000', 'pending_bookings_public_read', array[
        'create policy "Anyone can view pending bookings" on public.pending_bookings for select using (true)']),
    ('20250802101500', 'short_links', null),
    ('20250819163000', 'api_usage', null);

-- Log lines of the platform that no server of ours writes: the gateway's requests, and what happened before
-- the sandbox was started. The twin of the Logs API reads them together with PostgreSQL's own log.

create table platform.log (
    id uuid primary key default gen_random_uuid(),
    at timestamptz not null default now(),
    source_name text not null check (source_name in ('edge_logs', 'postgres_logs')),
    severity_text text not null default 'INFO',
    event_message text not null,
    log_attributes jsonb not null default '{}'
);
create index on platform.log (at);
