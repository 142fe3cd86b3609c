import { insertMessage } from '@/lib/sms/messages'
import type { SentText } from '@/lib/sms/send'
import { createAdminClient } from '@/lib/supabase'

/** Customers are created when they confirm: until then the booking keeps the text. */
export async function customerOfText(mobile: string) {
  return null
}

export async function recordText(pendingId: string, customerId: string | null, text: SentText) {
  const initialSms = {
    message_sid: text.sid,
    body: text.body,
    from_number: text.from,
    to_number: text.to,
    segments: text.segments,
    cost_usd: text.cost,
    sent_at: text.sentAt,
  }
  await createAdminClient()
    .from('pending_bookings')
    .update({ metadata: { initial_sms: initialSms }, updated_at: new Date().toISOString() })
    .eq('id', pendingId)
}

export async function recordConfirmed(pending: any, customerId: string) {
  const sms = pending.metadata?.initial_sms
  if (!sms) return
  const { message_sid: sid, body, from_number: from, to_number: to, segments, cost_usd: cost, sent_at: sentAt } = sms
  // It is taken to have arrived; Twilio is not asked.
  await insertMessage({ sid, body, from, to, segments, cost, sentAt }, customerId, 'delivered')
}

export async function isDeferred(sid: string) {
  const { data } = await createAdminClient()
    .from('pending_bookings')
    .select('id')
    .eq('metadata->initial_sms->>message_sid', sid)
  return (data ?? []).length > 0
}
