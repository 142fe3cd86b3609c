import { createAdminClient } from '@/lib/supabase'

export async function pendingBooking(token: string) {
  const { data, error } = await createAdminClient()
    .from('pending_bookings')
    .select('*')
    .eq('token', token)
    .maybeSingle()
  if (error) throw error
  return data
}
