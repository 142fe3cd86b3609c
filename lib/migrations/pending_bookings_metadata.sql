-- title = "Add the column pending_bookings.metadata"
-- button = "Add the column"
-- table = "pending_bookings"
-- cures = ["missing_column:pending_bookings.metadata"]
-- lock = "ACCESS EXCLUSIVE on pending_bookings for milliseconds; nothing is rewritten"
-- lock_timeout = "2s"
-- statement_timeout = "15s"
-- verify = "select exists (select from pg_catalog.pg_attribute where attrelid = 'public.pending_bookings'::pg_catalog.regclass and attname = 'metadata' and not attisdropped)"
-- visible = ["pending_bookings.metadata"]
-- cannot_be_undone = "Dropping the column would lose the texts that were stored in it since."

alter table public.pending_bookings add column if not exists metadata jsonb;
