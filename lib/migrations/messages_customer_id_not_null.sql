-- title = "Make messages.customer_id NOT NULL again"
-- button = "Make it NOT NULL"
-- table = "messages"
-- cures = []
-- lock = "short locks, step by step; the scan that validates lets reads and writes go on"
-- lock_timeout = "2s"
-- statement_timeout = "60s"
-- requires = "select not exists (select from public.messages where customer_id is null)"
-- requires_message = "Rows of messages have no customer: link them to one first, or leave the column as it is."
-- verify = "select exists (select from pg_catalog.pg_attribute where attrelid = 'public.messages'::pg_catalog.regclass and attname = 'customer_id' and not attisdropped and attnotnull) and not exists (select from pg_catalog.pg_constraint where conrelid = 'public.messages'::pg_catalog.regclass and conname = 'messages_customer_id_present')"
-- visible = ["messages.customer_id"]
-- undone_by = "messages_customer_id_nullable"
-- allows = ["ban-drop-constraint", "adding-not-nullable-field"]
-- because = "The check is our own: the first step makes it, the second proves it while reads and writes go on, so that the third marks the column without a scan (PostgreSQL 12 and newer), and the last one drops it, as the mark promises the same. The linter sees one step at a time."

-- step: forbid new nulls, without looking at the old rows
alter table public.messages drop constraint if exists messages_customer_id_present;
alter table public.messages add constraint messages_customer_id_present check (customer_id is not null) not valid;

-- step: look at the old rows while reads and writes go on
alter table public.messages validate constraint messages_customer_id_present;

-- step: mark the column; the check has proved it, so there is no second scan
alter table public.messages alter column customer_id set not null;

-- step: the check has done its work
alter table public.messages drop constraint if exists messages_customer_id_present;
