-- What Supabase itself sets up in every project's database, before the customer's first table: roles and their
-- rights, the auth schema, and the trigger that tells the Data API of DDL. Run once, by the superuser.
-- %(…)s are passwords made up anew at each start.

create role postgres login createdb createrole replication bypassrls password %(postgres)s;
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
-- Lite reads information_schema, which shows a role only what it may use: so it inherits, unlike PostgREST's.
-- It sets the role of each request before it asks anything, as PostgREST does.
create role authenticator login inherit password %(authenticator)s;
create role supabase_read_only_user login bypassrls password %(supabase_read_only_user)s;
create role log_reader login password %(log_reader)s;

-- As on the hosted platform, `postgres` owns everything in sight and is still no superuser.
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres;
grant anon, authenticated, service_role to postgres with admin option;
grant anon, authenticated, service_role to authenticator;
grant pg_read_all_data to supabase_read_only_user;
alter role supabase_read_only_user set default_transaction_read_only = on;
-- Every name must be schema-qualified here: so it is on the hosted platform.
alter role supabase_read_only_user set search_path = '';
-- Lite tries to grant rights that are not its to grant; that is no news.
alter role authenticator set log_min_messages = 'error';
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';

alter database postgres owner to postgres;
-- Supabase Lite brings its own auth tables and creates the schema they live in.
grant create on database postgres to authenticator;
create schema auth authorization authenticator;

create schema extensions authorization postgres;

create function extensions.pgrst_ddl_watch() returns event_trigger language plpgsql as $$
begin
    -- Only what the Data API serves: Lite's own tables must not send it into an endless reload.
    if exists (select from pg_event_trigger_ddl_commands() where schema_name = 'public') then
        notify pgrst, 'reload schema';
    end if;
end $$;

create function extensions.pgrst_drop_watch() returns event_trigger language plpgsql as $$
begin
    if exists (select from pg_event_trigger_dropped_objects() where schema_name = 'public') then
        notify pgrst, 'reload schema';
    end if;
end $$;

create event trigger pgrst_ddl_watch on ddl_command_end execute function extensions.pgrst_ddl_watch();
create event trigger pgrst_drop_watch on sql_drop execute function extensions.pgrst_drop_watch();

-- ClickHouse's words, for the twin of the Logs API: its user may read the log lines it is handed and nothing else.
revoke all on schema public from log_reader;
create schema clickhouse;
grant usage on schema clickhouse to log_reader;
alter role log_reader set search_path = clickhouse;
create function clickhouse.match(haystack text, pattern text) returns boolean
    language sql immutable return haystack ~ pattern;
create function clickhouse.tostartofminute(at timestamptz) returns timestamptz
    language sql stable return date_trunc('minute', at);
create function clickhouse.tostartofhour(at timestamptz) returns timestamptz
    language sql stable return date_trunc('hour', at);
