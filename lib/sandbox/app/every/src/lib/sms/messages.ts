import { createAdminClient } from '@/lib/supabase'
import type { SentText } from '@/lib/sms/send'

export async function insertMessage(text: SentText, customerId: string | null, status: 'queued' | 'delivered') {
  await createAdminClient().from('messages').insert({
    customer_id: customerId,
    direction: 'outbound',
    message_sid: text.sid,
    twilio_message_sid: text.sid,
    body: text.body,
    status,
    twilio_status: status,
    from_number: text.from,
    to_number: text.to,
    message_type: 'sms',
    segments: text.segments,
    cost_usd: text.cost,
    sent_at: text.sentAt,
  })
}
