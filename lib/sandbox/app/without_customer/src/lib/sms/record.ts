import { createAdminClient } from '@/lib/supabase'
import type { SentText } from '@/lib/sms/send'

/** Customers are created when they confirm: who is new is nobody yet. */
export async function customerOfText(mobile: string) {
  return null
}

export async function recordText(pendingId: string, customerId: string | null, text: SentText) {
  await createAdminClient().from('messages').insert({
    customer_id: customerId ?? null,
    direction: 'outbound',
    message_sid: text.sid,
    twilio_message_sid: text.sid,
    body: text.body,
    status: 'queued',
    twilio_status: 'queued',
    from_number: text.from,
    to_number: text.to,
    message_type: 'sms',
    segments: text.segments,
    cost_usd: text.cost,
    sent_at: text.sentAt,
  })
}

export async function recordConfirmed(pending: { id: string }, customerId: string) {}

export async function isDeferred(sid: string) {
  return false
}
