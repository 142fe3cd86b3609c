-- The state of the twins: what Vercel, GitHub and Twilio know, and what the booking app's servers are up to.
-- It lives beside the booking database so that one reset clears everything, in a schema of its own so that
-- the Data API never serves it. Times that lie in the future are how things take time: a state is computed
-- from them whenever somebody asks, and no background thread is needed.

drop schema if exists twin cascade;
create schema twin;

-- GitHub -------------------------------------------------------------------------------------------------

create table twin.repository (
    only_row boolean primary key default true check (only_row),
    id bigint not null,
    default_branch text not null,
    created_at timestamptz not null,
    code_readable boolean not null default true  -- whether the token may read what the repository holds
);

create table twin.commits (
    sha text primary key,
    position bigint generated always as identity,  -- parents come before children
    parent text references twin.commits,
    tree text not null,
    message text not null,
    author_name text not null,
    author_login text not null,
    author_email text not null,
    committed_at timestamptz not null,
    verified boolean not null default true,
    changed_files text[] not null default '{}',
    -- What the code at this commit does; a commit inherits it from its parent.
    records_texts text not null check (records_texts in ('with_customer', 'without_customer', 'on_pending')),
    confirmation_needs_login boolean not null default false,
    build_error text  -- the line every build of this commit fails with
);

create table twin.branches (
    name text primary key,
    sha text not null references twin.commits,
    protected boolean not null default false
);

create table twin.pushes (
    id bigint generated always as identity primary key,
    branch text not null,
    before text not null,
    after text not null references twin.commits,
    actor text not null,
    at timestamptz not null
);

-- A file as it is from one commit on, until a later commit writes it again.
create table twin.files (
    path text not null,
    since text not null references twin.commits,
    content text not null,
    primary key (path, since)
);

-- Vercel -------------------------------------------------------------------------------------------------

create table twin.project (
    only_row boolean primary key default true check (only_row),
    name text not null,
    created_at timestamptz not null,
    git_linked boolean not null default true,
    production_branch text not null default 'main',
    auto_assign_domains boolean not null default true,
    auto_assign_updated_by text,
    ignore_command text,
    paused boolean not null default false,
    last_alias_request jsonb,
    rollback_note jsonb,
    queue_time interval not null default '2 seconds',
    build_time interval not null default '6 seconds'
);

create table twin.env (
    id text primary key,
    key text not null,
    value text not null,
    type text not null default 'encrypted',
    target text[] not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table twin.deployments (
    id text primary key,
    url text not null unique,
    created_at timestamptz not null,
    building_at timestamptz not null,
    done_at timestamptz not null,
    canceled_at timestamptz,
    error_message text,  -- set: the build ends in ERROR at done_at
    target text,
    sha text not null references twin.commits,
    branch text not null,
    source text not null,
    meta jsonb not null default '{}',  -- what its maker gave it
    creator text not null,
    auto_assign boolean not null,  -- decided when it was created, as on Vercel
    promoted_at timestamptz,  -- first served production; null: STAGED
    aliases_settled boolean not null default false,  -- its end was acted on: see vercel.settle
    env jsonb not null  -- baked in: name to value
);
create index on twin.deployments (created_at);
create index on twin.deployments (sha);

create table twin.domains (
    name text primary key,
    redirect text,
    created_at timestamptz not null
);

create table twin.aliases (
    host text primary key,
    deployment_id text not null references twin.deployments,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create view twin.builds as
    select d.*, c.message, c.author_name, c.author_login
    from twin.deployments d join twin.commits c using (sha);

create view twin.hostnames as
    select a.*, d.url from twin.aliases a join twin.deployments d on d.id = a.deployment_id;

create table twin.activity (
    id text primary key,
    type text not null,
    text text not null,
    actor text not null,
    at timestamptz not null
);

-- Twilio -------------------------------------------------------------------------------------------------

create table twin.provider (
    only_row boolean primary key default true check (only_row),
    balance numeric not null default 41.87,  -- at seeded_at; later texts come off it
    seeded_at timestamptz not null,
    sender_in_account boolean not null default true,
    carrier_errors integer[] not null default '{}',  -- what the carriers answer to each new text, in turn
    status_callback text  -- where the sender's status callbacks are posted
);

create table twin.texts (
    sid text primary key,
    created_at timestamptz not null,
    sending_at timestamptz not null,
    sent_at timestamptz not null,
    done_at timestamptz not null,
    billed_at timestamptz not null,
    final_status text not null default 'delivered',
    error_code integer,
    to_number text not null,
    from_number text not null,
    body text not null,
    segments integer not null,
    price numeric not null,
    callbacks_posted integer not null default 0
);
create index on twin.texts (created_at, sid);

create table twin.alerts (
    sid text primary key,
    error_code text not null,
    text text not null,
    resource_sid text,
    request_url text not null,
    at timestamptz not null
);

-- The booking app ----------------------------------------------------------------------------------------

create table twin.app (
    only_row boolean primary key default true check (only_row),
    jobs_run boolean not null default true  -- whether the scheduler still calls the job worker
);
