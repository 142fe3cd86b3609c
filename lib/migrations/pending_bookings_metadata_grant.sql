-- title = "Let the app write pending_bookings.metadata"
-- button = "Grant the right"
-- table = "pending_bookings"
-- cures = ["forbidden:pending_bookings"]
-- lock = "none that anybody waits for"
-- lock_timeout = "2s"
-- statement_timeout = "15s"
-- requires = "select exists (select from pg_catalog.pg_attribute where attrelid = 'public.pending_bookings'::pg_catalog.regclass and attname = 'metadata' and not attisdropped)"
-- requires_message = "The column pending_bookings.metadata is missing: add it first."
-- verify = "select exists (select from pg_catalog.pg_attribute where attrelid = 'public.pending_bookings'::pg_catalog.regclass and attname = 'metadata' and not attisdropped and pg_catalog.has_column_privilege('service_role', attrelid, attnum, 'update'))"
-- visible = ["pending_bookings.metadata"]
-- cannot_be_undone = "Take the right away again by a migration of the app's own, once it writes elsewhere."

grant update (metadata) on public.pending_bookings to service_role;
